"""Turns: what one worker of the installation does at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_HOLD_SECONDS = 15.0
_RENEW_SECONDS = 4.0

_log = structlog.get_logger()


async def take_alone(redis: Redis, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do the work, unless any process of the installation does it.

    A process that dies leaves the turn for some 15 seconds. Two may do the work at once where the queue
    forgets who holds the turn: each step of the work bears that.
    """
    lock = redis.lock(f"commandcenter:turn:{name}", timeout=_HOLD_SECONDS, blocking=False)
    if not await lock.acquire():
        return
    async with _held(lock.reacquire, name):
        await work()
    try:
        await lock.release()
    except RedisError as error:
        _log.warning("turn.not_given_back", turn=name, error=str(error))


@asynccontextmanager
async def _held(renew: Callable[[], Awaitable[object]], name: str) -> AsyncIterator[None]:
    async def renew_regularly() -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                await renew()
            except (RedisError, OSError) as error:
                _log.warning("turn.not_renewed", turn=name, error=str(error))

    renewer = asyncio.create_task(renew_regularly(), name=f"turn {name}")
    try:
        yield
    finally:
        renewer.cancel()
        await asyncio.wait([renewer])
