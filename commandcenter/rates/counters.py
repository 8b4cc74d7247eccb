"""Taking from buckets: alone in this process, or together with all web processes by Valkey."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commandcenter.rates.buckets import Charge, Verdict, fits, judge

_log = structlog.get_logger()

EXCHANGE_SECONDS = 0.05
ANSWER_SECONDS = 1.0
AWAY_SECONDS = 2.0
_MOST_KEPT = 10_000

# KEYS: buckets; ARGV: for each, what was taken from it and the most that it may owe, both as time. Stored for
# each is when it will be full, by the server's clock; gives how long that is from now. All in microseconds.
_SHARE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {}
for i = 1, #KEYS do
  local reset = math.max(0, (tonumber(redis.call('GET', KEYS[i])) or 0) - now) + ARGV[2 * i - 1]
  reset = math.min(reset, tonumber(ARGV[2 * i]))
  if reset > 0 then
    redis.call('SET', KEYS[i], string.format('%.0f', now + reset), 'PX', math.ceil(reset / 1000))
  end
  answer[i] = reset
end
return answer
"""


class Counters(Protocol):
    """Where buckets are counted."""

    def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none where one bucket has too little."""

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict, if the charges would be refused."""


class LocalCounters:
    """Buckets of this process alone: `_MOST_KEPT` of them at most, those not used for longest forgotten."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none."""
        now, resets = self._look(charges)
        taken = fits(charges, resets)
        if taken:
            for charge, reset in zip(charges, resets, strict=True):
                self.set(charge.bucket.key, now + reset + charge.seconds)
        return judge(charges, resets, taken=taken)

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict, if the charges would be refused."""
        resets = self._look(charges)[1]
        return None if fits(charges, resets) else judge(charges, resets, taken=False)

    def set(self, key: str, full_at: float) -> None:
        """Note when a bucket will be full, by the monotonic clock."""
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > _MOST_KEPT:
            self._full_at.popitem(last=False)

    def _look(self, charges: Sequence[Charge]) -> tuple[float, list[float]]:
        now = time.monotonic()
        return now, [max(0.0, self._full_at.get(charge.bucket.key, 0.0) - now) for charge in charges]


class SharedCounters:
    """Buckets of all processes: decided on at once by what is known here, and told to the others right after.

    No request waits for Valkey. What several processes give out within the same `EXCHANGE_SECONDS` may be
    more than there was; it is owed, so that the rate holds. While Valkey is away each counts by itself.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, socket_connect_timeout=ANSWER_SECONDS)
        self._script = self._redis.register_script(_SHARE)
        self._local = LocalCounters()
        # By the bucket's key, in seconds: what was taken since the last exchange, and the most it may owe.
        self._untold: dict[str, tuple[float, float]] = {}
        self._is_untold = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to exchange."""
        self._task = asyncio.create_task(self._exchange_regularly(), name="rates")

    async def close(self) -> None:
        """Stop, and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose()

    def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none."""
        verdict = self._local.take(charges)
        if verdict.refused_by is None and len(self._untold) < _MOST_KEPT:
            for charge in charges:
                before, _ = self._untold.get(charge.bucket.key, (0.0, 0.0))
                self._untold[charge.bucket.key] = before + charge.seconds, 2 * charge.bucket.seconds
            self._is_untold.set()
        return verdict

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict, if the charges would be refused."""
        return self._local.refusal(charges)

    async def _exchange_regularly(self) -> None:
        while True:
            await self._is_untold.wait()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._exchange()
            except (RedisError, OSError) as error:
                _log.warning("rates.valkey_away", error=str(error) or type(error).__name__)
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.sleep(EXCHANGE_SECONDS)

    async def _exchange(self) -> None:
        told, self._untold = self._untold, {}
        self._is_untold.clear()
        arguments = [int(seconds * 1e6) for pair in told.values() for seconds in pair]
        resets = await self._script(keys=list(told), args=arguments)
        now = time.monotonic()
        for key, micros in zip(told, resets, strict=True):
            taken_meanwhile, _ = self._untold.get(key, (0.0, 0.0))
            self._local.set(key, now + micros / 1e6 + taken_meanwhile)
