"""Doing what must be recorded, however long the database is away."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

_log = structlog.get_logger()

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0

Result = TypeVar("Result")


async def despite_outages(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do `work`, and once more each time that the database was away: until it is done, or we are cancelled.

    For ends that were seen and can't be seen again. `work` is a whole transaction: after a commit whose
    answer was lost it finds its own change and leaves it as it is.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_outage),
        wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        before_sleep=_tell,
    )
    return await retrying(work)


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, (DataError, IntegrityError, ProgrammingError)):
        return False
    return isinstance(error, (SQLAlchemyError, OSError, TimeoutError))


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("database.away", error=str(error)[:500], attempt=state.attempt_number)
