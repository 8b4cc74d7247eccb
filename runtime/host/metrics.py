"""What each sandbox uses, measured every few seconds and kept for an hour."""

import asyncio
import os
import shutil
import stat
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from runtime.host.limits import Usage
from runtime.host.limits.rlimits import ProcessTree
from runtime.host.sandbox import Sandbox
from runtime.host.sandbox_host import SandboxHost
from runtime.host.store import Store

SAMPLE_SECONDS = 5
WATCH_SECONDS = 1
SAMPLES_KEPT = 3600 // SAMPLE_SECONDS
FRESH_SECONDS = 1
DISK_SHARE = 20
"""Disk use is measured so seldom that it takes a twentieth of the time at most."""


@dataclass(frozen=True)
class Sample:
    """One measurement: time in seconds since the epoch, processor use in percent of one, sizes in bytes."""

    at: float
    processor_percent: float
    memory: int
    cache: int
    disk: int
    disk_total: int


@dataclass
class _Disk:
    used: int = 0
    total: int = 0
    due: float = 0.0


class Metrics:
    """Samples of all sandboxes."""

    def __init__(self, host: SandboxHost, store: Store) -> None:
        self._host = host
        self._store = store
        self._samples: dict[str, deque[Sample]] = {}
        self._last: dict[str, tuple[float, Usage]] = {}
        self._disks: dict[str, _Disk] = {}

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
                    await self._measure(sandbox)
            if measure:
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

    def disk_total(self, sandbox_id: str) -> int:
        """Bytes that a sandbox may still come to hold, as last measured; at first, what is free."""
        known = self._disks.get(sandbox_id)
        return known.total if known is not None and known.total else self._store.free_bytes()

    def _running(self) -> list[Sandbox]:
        live = (self._host.live(sandbox_id) for sandbox_id in list(self._host.records))
        return [sandbox for sandbox in live if sandbox is not None]

    async def _measure(self, sandbox: Sandbox) -> None:
        with suppress(OSError):  # it may end while it is measured
            sample = await asyncio.to_thread(self._sample, sandbox)
            self._samples.setdefault(sandbox.id, deque(maxlen=SAMPLES_KEPT)).append(sample)

    def _sample(self, sandbox: Sandbox) -> Sample:
        usage = sandbox.group.usage()
        now = time.time()
        before, earlier = self._last.get(sandbox.id, (sandbox.record.started_at.timestamp(), Usage(0, 0, 0)))
        self._last[sandbox.id] = (now, usage)
        used = max(0.0, usage.processor_seconds - earlier.processor_seconds)
        disk = self._disk(sandbox.id)
        return Sample(
            at=now,
            processor_percent=round(100 * used / max(now - before, 0.001), 2),
            memory=usage.memory,
            cache=usage.cache,
            disk=disk.used,
            disk_total=disk.total,
        )

    def _disk(self, sandbox_id: str) -> _Disk:
        disk = self._disks.setdefault(sandbox_id, _Disk())
        begin = time.monotonic()
        if begin >= disk.due:
            written = self._store.data(sandbox_id)
            disk.used = disk_use(str(written))
            disk.total = disk.used + shutil.disk_usage(written).free
            disk.due = time.monotonic() + DISK_SHARE * (time.monotonic() - begin)
        return disk

    def _forget_ended(self) -> None:
        for kept in (self._samples, self._last, self._disks):
            for sandbox_id in [each for each in kept if each not in self._host.records]:
                del kept[sandbox_id]


def disk_use(folder: str) -> int:
    """Bytes that files take below a folder; by open folders, so that no link leads elsewhere."""
    total = 0
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(OSError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if found.st_nlink == 1 or stat.S_ISDIR(found.st_mode):
                    total += found.st_blocks * 512
                else:
                    total += found.st_blocks * 512 // found.st_nlink
    return total
