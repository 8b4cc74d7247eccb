"""When what a provider did not do is tried again: later each time, within bounds, and as it asks."""

import random

from commandcenter.errors import DomainError
from commandcenter.providers.errors import ProviderRateLimitedError, ProviderUnavailableError

_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 15.0
_LONGEST_ADVISED_SECONDS = 300.0
_SPREAD = 0.2


def seconds_until_retry(failed_attempts: int, error: DomainError) -> float:
    """How long to wait after the last of `failed_attempts` failures.

    2 s after the first, twice as long after each further one, at most 15 s, each up to a fifth less so that
    not all come at once; and never less than the provider asks for, up to 5 minutes.
    """
    waited = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(failed_attempts - 1, 10))
    waited *= 1 - random.random() * _SPREAD  # noqa: S311 - it hides nothing
    advised = None
    if isinstance(error, (ProviderUnavailableError, ProviderRateLimitedError)):
        advised = error.retry_after_seconds
    return max(waited, min(advised or 0.0, _LONGEST_ADVISED_SECONDS))
