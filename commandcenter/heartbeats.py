"""Heartbeats: which worker processes live."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commandcenter.clock import now

_KEY = "commandcenter:workers"
_DEAD_AFTER_SECONDS = 15
_BEAT_SECONDS = 3.0

_log = structlog.get_logger()


class Heartbeats:
    """The signs of life of workers, in Valkey."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, health_check_interval=15, socket_connect_timeout=5)

    async def beat(self, process_id: UUID) -> None:
        """Say that a worker lives."""
        moment = now().timestamp()
        await self._redis.zadd(_KEY, {str(process_id): moment})
        await self._redis.zremrangebyscore(_KEY, 0, moment - 60 * _DEAD_AFTER_SECONDS)

    async def stop(self, process_id: UUID) -> None:
        """Say that a worker has stopped in order."""
        await self._redis.zrem(_KEY, str(process_id))

    async def count(self) -> int:
        """How many workers gave a sign of life within 15 seconds."""
        return int(await self._redis.zcount(_KEY, now().timestamp() - _DEAD_AFTER_SECONDS, "+inf"))

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


@asynccontextmanager
async def beating(heartbeats: Heartbeats, process_id: UUID) -> AsyncIterator[None]:
    """Give signs of life for as long as the block runs."""
    task = asyncio.create_task(_beat_regularly(heartbeats, process_id), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await heartbeats.stop(process_id)


async def _beat_regularly(heartbeats: Heartbeats, process_id: UUID) -> None:
    while True:
        try:
            await heartbeats.beat(process_id)
        except (RedisError, OSError) as error:
            _log.warning("heartbeat.failed", error=str(error))
        await asyncio.sleep(_BEAT_SECONDS)
