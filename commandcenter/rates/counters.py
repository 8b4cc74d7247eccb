"""Taking from buckets: together with all web processes in Valkey, or alone in this process."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from commandcenter.rates.buckets import Charge, Verdict, fits, judge

_log = structlog.get_logger()

ANSWER_SECONDS = 0.25
AWAY_SECONDS = 2.0
_CONNECTIONS = 16
_MOST_KEPT = 10_000

# All times in microseconds by the server's clock. KEYS: the buckets; stored for each is when it will be full.
# ARGV: for each, what is to be taken and what the bucket holds, both as time. Gives 1 where all was taken, 0
# where nothing was; then for each how long it would have taken to be full before.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {1}
for i = 1, #KEYS do
  local reset = math.max(0, (tonumber(redis.call('GET', KEYS[i])) or 0) - now)
  answer[i + 1] = reset
  if reset + ARGV[2 * i - 1] > tonumber(ARGV[2 * i]) then answer[1] = 0 end
end
if answer[1] == 1 then
  for i = 1, #KEYS do
    local reset = answer[i + 1] + ARGV[2 * i - 1]
    if reset > 0 then
      redis.call('SET', KEYS[i], string.format('%.0f', now + reset), 'PX', math.ceil(reset / 1000))
    end
  end
end
return answer
"""


class Counters(Protocol):
    """Where buckets are counted."""

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none where one bucket has too little."""

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict, where it is known without asking that the charges would be refused."""


class LocalCounters:
    """Buckets of this process alone: `_MOST_KEPT` of them at most, those not used for longest forgotten."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none."""
        now, resets = self._look(charges)
        taken = fits(charges, resets)
        if taken:
            for charge, reset in zip(charges, resets, strict=True):
                self.set(charge, now + reset + charge.units * charge.bucket.unit_seconds)
        return judge(charges, resets, taken=taken)

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict where the charges would be refused."""
        resets = self._look(charges)[1]
        return None if fits(charges, resets) else judge(charges, resets, taken=False)

    def set(self, charge: Charge, full_at: float) -> None:
        """Note when a bucket will be full, by the monotonic clock."""
        self._full_at[charge.bucket.key] = full_at
        self._full_at.move_to_end(charge.bucket.key)
        if len(self._full_at) > _MOST_KEPT:
            self._full_at.popitem(last=False)

    def _look(self, charges: Sequence[Charge]) -> tuple[float, list[float]]:
        now = time.monotonic()
        return now, [max(0.0, self._full_at.get(charge.bucket.key, 0.0) - now) for charge in charges]


class SharedCounters:
    """Buckets of all processes, in Valkey: one exchange for all charges of a request.

    While Valkey does not answer, each process counts by itself, from what it saw last: nobody is refused or
    kept waiting for that, and no limit is gone. It is asked again after `AWAY_SECONDS`.
    """

    def __init__(self, redis_url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            redis_url, max_connections=_CONNECTIONS, timeout=ANSWER_SECONDS
        )
        self._redis = Redis(connection_pool=pool)
        self._script = self._redis.register_script(_TAKE)
        self._local = LocalCounters()
        self._away_until = 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose(close_connection_pool=True)

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Take all of the charges, or none; answers after `ANSWER_SECONDS` at the latest."""
        if time.monotonic() < self._away_until:
            return await self._local.take(charges)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                taken, *micros = await self._script(
                    keys=[charge.bucket.key for charge in charges], args=_arguments(charges)
                )
        except (RedisError, OSError) as error:
            # One that waits is enough: the others count by themselves meanwhile.
            self._away_until = time.monotonic() + AWAY_SECONDS
            _log.warning("rates.valkey_away", error=str(error) or type(error).__name__)
            return await self._local.take(charges)
        resets = [each / 1e6 for each in micros]
        self._remember(charges, resets, taken=bool(taken))
        return judge(charges, resets, taken=bool(taken))

    def refusal(self, charges: Sequence[Charge]) -> Verdict | None:
        """The verdict, where what this process saw last is enough to refuse: buckets fill no faster."""
        return self._local.refusal(charges)

    def _remember(self, charges: Sequence[Charge], resets: Sequence[float], *, taken: bool) -> None:
        now = time.monotonic()
        for charge, reset in zip(charges, resets, strict=True):
            used = charge.units * charge.bucket.unit_seconds if taken else 0.0
            self._local.set(charge, now + reset + used)


def _arguments(charges: Sequence[Charge]) -> list[int]:
    return [
        micros
        for charge in charges
        for micros in (
            int(charge.units * charge.bucket.unit_seconds * 1e6),
            int(charge.bucket.seconds * 1e6),
        )
    ]
