"""What each sandbox uses, measured every few seconds and kept for an hour."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from runtime.host.disk.watch import DiskWatch
from runtime.host.errors import HostError
from runtime.host.limits import Usage
from runtime.host.limits.rlimits import ProcessTree
from runtime.host.sandbox import Sandbox
from runtime.host.sandbox_host import SandboxHost

SAMPLE_SECONDS = 5
WATCH_SECONDS = 1
SAMPLES_KEPT = 3600 // SAMPLE_SECONDS
FRESH_SECONDS = 1


@dataclass(frozen=True)
class Sample:
    """One measurement: time in seconds since the epoch, processor use in percent of one, sizes in bytes."""

    at: float
    processor_percent: float
    memory: int
    cache: int
    disk: int
    disk_total: int


class Metrics:
    """Samples of all sandboxes that the host knows; memory is watched over in all that `running` gives."""

    def __init__(
        self, host: SandboxHost, disk_watch: DiskWatch, running: Callable[[], Iterable[Sandbox]]
    ) -> None:
        self._host = host
        self._running = running
        self._disk_watch = disk_watch
        self._samples: dict[str, deque[Sample]] = {}
        self._last: dict[str, tuple[float, Usage]] = {}

    async def run(self) -> None:
        """Measure for ever; and where nothing else bounds a sandbox's memory, watch over it."""
        measured = 0.0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            measure = time.monotonic() - measured >= SAMPLE_SECONDS
            for sandbox in self._running():
                if isinstance(sandbox.group, ProcessTree):
                    await asyncio.to_thread(sandbox.group.watch)
            if measure:
                for sandbox in self._host.all_live():
                    await self._measure(sandbox)
                measured = time.monotonic()
                self._forget_ended()

    async def samples(self, sandbox_id: str, start: float | None, end: float | None) -> list[Sample]:
        """A sandbox's samples between two times; one is taken now where the last is old."""
        sandbox = self._host.live(sandbox_id)
        kept = self._samples.get(sandbox_id)
        if sandbox is not None and (not kept or time.time() - kept[-1].at > FRESH_SECONDS):
            await self._measure(sandbox)
        return [
            sample
            for sample in self._samples.get(sandbox_id, ())
            if (start is None or sample.at >= start) and (end is None or sample.at <= end + 1)
        ]

    async def _measure(self, sandbox: Sandbox) -> None:
        with suppress(OSError, HostError):  # it may end while it is measured
            disk = await self._disk_watch.use(sandbox)
            sample = await asyncio.to_thread(self._sample, sandbox, disk.used)
            self._samples.setdefault(sandbox.id, deque(maxlen=SAMPLES_KEPT)).append(sample)

    def _sample(self, sandbox: Sandbox, disk: int) -> Sample:
        usage = sandbox.group.usage()
        now = time.time()
        before, earlier = self._last.get(sandbox.id, (sandbox.record.started_at.timestamp(), Usage(0, 0, 0)))
        self._last[sandbox.id] = (now, usage)
        used = max(0.0, usage.processor_seconds - earlier.processor_seconds)
        return Sample(
            at=now,
            processor_percent=round(100 * used / max(now - before, 0.001), 2),
            memory=usage.memory,
            cache=usage.cache,
            disk=disk,
            disk_total=sandbox.record.limits.disk,
        )

    def _forget_ended(self) -> None:
        for kept in (self._samples, self._last):
            for sandbox_id in [each for each in kept if each not in self._host.records]:
                del kept[sandbox_id]
