"""Numbers about what happens, added up over all processes in Valkey.

Counters and histograms must be right with several processes and across restarts; so they live in one
Valkey hash, `HASH`, whose fields are `<metric>|<label>=<value>,…` and for histograms also `…|le=<bound>`.
`monitoring` renders them for Prometheus. Like signals, a measurement never makes anything wait or fail.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger()

HASH = "commandcenter:measurements"
DURATION_BUCKETS_SECONDS = (0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0)
_SEND_SECONDS = 1.0


def field(metric: str, **labels: str) -> str:
    """The hash field of a metric with its labels, in the order of their names."""
    return "|".join((metric, ",".join(f"{name}={value}" for name, value in sorted(labels.items()))))


class Measurements:
    """Collects this process's numbers and adds them to the shared ones every second."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, health_check_interval=15, socket_connect_timeout=5)
        self._pending: defaultdict[str, float] = defaultdict(float)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._send_regularly(), name="measurements")

    async def close(self) -> None:
        """Send what is left, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._send()
        await self._redis.aclose()

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter. Label values must come from a small, fixed set."""
        self._pending[field(metric, **labels)] += amount

    def observe_duration(self, metric: str, seconds: float, **labels: str) -> None:
        """Add one value to a histogram of durations."""
        index = bisect_left(DURATION_BUCKETS_SECONDS, seconds)
        bound = str(DURATION_BUCKETS_SECONDS[index]) if index < len(DURATION_BUCKETS_SECONDS) else "+Inf"
        name = field(metric, **labels)
        self._pending[f"{name}|le={bound}"] += 1
        self._pending[f"{name}|sum"] += seconds

    async def read(self) -> dict[str, float]:
        """The numbers of all processes, by hash field."""
        await self._send()
        stored = await self._redis.hgetall(HASH)
        return {name.decode(): float(value) for name, value in stored.items()}

    async def _send_regularly(self) -> None:
        while True:
            await asyncio.sleep(_SEND_SECONDS)
            await self._send()

    async def _send(self) -> None:
        if not self._pending:
            return
        taken, self._pending = self._pending, defaultdict(float)
        try:
            pipeline = self._redis.pipeline(transaction=True)
            for name, amount in taken.items():
                pipeline.hincrbyfloat(HASH, name, amount)
            await pipeline.execute()
        except (RedisError, OSError) as error:
            _log.warning("measurements.send_failed", error=str(error))
            for name, amount in taken.items():
                self._pending[name] += amount
