"""Heartbeats: which worker processes live."""

from uuid import UUID

from redis.asyncio import Redis

from commandcenter.clock import now

_KEY = "commandcenter:workers"
_DEAD_AFTER_SECONDS = 15


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
