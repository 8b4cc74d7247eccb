"""The sentences in which a provider's failures are told."""

import math

from commandcenter.providers.errors import (
    ProviderKeyRefusedError,
    ProviderRateLimitedError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    ProviderUnreachableError,
)

# E2B's name of a field that our API calls `allowInternet`.
_INTERNET_FIELD = "allow_internet_access"


def unavailable(
    provider: str, words: str, *, retry_after_seconds: float | None = None
) -> ProviderUnavailableError:
    """The error of a provider that did not answer, or answered that it can't now."""
    return ProviderUnavailableError(
        f"Provider {provider} is not available: {words}. Try again later.",
        retry_after_seconds=retry_after_seconds,
    )


def unreachable(provider: str, words: str) -> ProviderUnreachableError:
    """The error of a provider to which no connection could be made."""
    return ProviderUnreachableError(f"Provider {provider} is not available: {words}. Try again later.")


def timed_out(provider: str, words: str) -> ProviderTimeoutError:
    """The error of a provider that did not answer in time."""
    return ProviderTimeoutError(f"Provider {provider} did not answer in time: {words}. Try again later.")


def rate_limited(
    provider: str, words: str, *, retry_after_seconds: float | None = None
) -> ProviderRateLimitedError:
    """The error of a provider that takes no more at the moment."""
    when = "later" if retry_after_seconds is None else f"in {math.ceil(retry_after_seconds)} s"
    return ProviderRateLimitedError(
        f"Provider {provider} takes no more requests: {words}. Try again {when}.",
        retry_after_seconds=retry_after_seconds,
    )


def refused(provider: str, words: str, field: str | None = None) -> ProviderRefusedError:
    """The error of a request that a provider refuses, with the field at fault where it names one."""
    if _INTERNET_FIELD in words:
        words, field = words.replace(_INTERNET_FIELD, "allowInternet"), "allowInternet"
    message = f"Provider {provider} refused the request: {words}"
    return ProviderRefusedError(message, (field,) if field else None)


def key_refused(provider: str, words: str) -> ProviderKeyRefusedError:
    """The error of an API key that a provider does not accept."""
    return ProviderKeyRefusedError(
        f"Provider {provider} does not accept the configured API key: {words}. Set a valid key."
    )
