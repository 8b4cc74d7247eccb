"""How fast the output of a sandbox's processes is read; what isn't read yet waits in their pipes."""

import time

from runtime.host.limits import Bound

OUTPUT_RATE_BOUND = Bound("the runtime reads no faster", firm=True)
BURST_SECONDS = 0.25
SHORTEST_WAIT = 0.01


class OutputRate:
    """A bucket of bytes that fills with time, shared by all output streams of one sandbox.

    It may be overdrawn by what must be read at once, such as the rest of an ended process.
    """

    def __init__(self, bytes_per_second: int) -> None:
        """A rate of 0 bounds nothing."""
        self._rate = bytes_per_second
        self._burst = bytes_per_second * BURST_SECONDS
        self._portion = self._burst / 10
        self._level = self._burst
        self._at = time.monotonic()
        self.waits = 0
        """How often a stream had to wait."""

    def room(self, wanted: int) -> int:
        """How much of `wanted` bytes may be read now: 0, or so much that it is worth a call."""
        if not self._rate:
            return wanted
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        return min(wanted, int(self._level)) if self._level >= self._portion else 0

    def spend(self, count: int) -> None:
        """So many bytes were read."""
        self._level -= count

    def wait_seconds(self) -> float:
        """Until there is room again."""
        self.waits += 1
        return max(SHORTEST_WAIT, (self._portion - self._level) / self._rate)
