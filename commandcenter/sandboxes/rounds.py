"""One round of many small works at one provider, each with a bound of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from commandcenter.errors import DomainError

_log = structlog.get_logger()

_AT_ONCE = 8

Step = Callable[[], Awaitable[object]]


async def do_all(round_name: str, provider: str, steps: Sequence[Step], *, step_seconds: float) -> None:
    """Do the steps, some at a time; one that fails or hangs is logged and holds up no other."""
    bound = asyncio.Semaphore(_AT_ONCE)

    async def do(step: Step) -> None:
        try:
            async with bound, asyncio.timeout(step_seconds):
                await step()
        except (DomainError, TimeoutError, SQLAlchemyError, OSError) as error:
            _log.warning(f"{round_name}.step_failed", provider=provider, error=str(error)[:500])

    await asyncio.gather(*(do(step) for step in steps))
