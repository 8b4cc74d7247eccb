"""A watch over what sandboxes have on disk, and the end of those that write too much.

A sandbox with a file system of its own can't. Elsewhere this is best effort: between two looks a sandbox can
write more than it may, and a file that was removed while a process has it open is not seen. Who has too much
loses all processes, and uploads are refused until files are removed; the sandbox goes on so that they can be.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from runtime.host.disk.use import DiskUse
from runtime.host.errors import HostError
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store

log = structlog.get_logger("runtime.disk")

TICK_SECONDS = 0.25
OWN_FILE_SYSTEM_SECONDS = 1.0
LONGEST_SECONDS = 5.0
USUAL_SHARE, URGENT_SHARE = 20, 3
"""Looking takes a twentieth of the time at most; a third while the disk fills."""


@dataclass
class _Look:
    use: DiskUse
    free: int
    began: float
    seconds: float


class DiskWatch:
    """Looks at each sandbox, the oftener the less room it has."""

    def __init__(self, sandboxes: Callable[[], Iterable[Sandbox]], store: Store) -> None:
        self._sandboxes = sandboxes
        self._store = store
        self._looks: dict[str, _Look] = {}

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            sandboxes = list(self._sandboxes())
            for sandbox in sandboxes:
                with suppress(OSError, HostError):  # it may end meanwhile
                    if self._is_due(sandbox):
                        await self.look(sandbox)
            ids = {sandbox.id for sandbox in sandboxes}
            self._looks = {each: look for each, look in self._looks.items() if each in ids}

    async def use(self, sandbox: Sandbox) -> DiskUse:
        """What a sandbox has, as of the last look where looking takes long."""
        last = self._looks.get(sandbox.id)
        return last.use if last is not None and not self._store.own_file_systems else await self.look(sandbox)

    async def look(self, sandbox: Sandbox) -> DiskUse:
        """Look now; too much has consequences."""
        free, began = self._store.free_bytes(), time.monotonic()
        use = await asyncio.to_thread(self._store.disk_use, sandbox.record)
        self._looks[sandbox.id] = _Look(use, free, began, time.monotonic() - began)
        sandbox.disk_full = use.full
        if use.full:
            sandbox.disk_was_full = True
            if not self._store.own_file_systems:
                log.warning("sandbox_out_of_disk", sandbox=sandbox.id, used=use.used)
                await sandbox.end_for_want_of_disk()
        return use

    def _is_due(self, sandbox: Sandbox) -> bool:
        last = self._looks.get(sandbox.id)
        if last is None:
            return True
        passed = time.monotonic() - last.began
        if self._store.own_file_systems:
            return passed >= OWN_FILE_SYSTEM_SECONDS
        # Should it be this sandbox that takes what has gone from all, half of its rest is left.
        gone, rest = last.free - self._store.free_bytes(), sandbox.record.limits.disk - last.use.used
        if last.use.full or gone >= rest / 2:
            return passed >= last.seconds * URGENT_SHARE
        return passed >= max(LONGEST_SECONDS, last.seconds * USUAL_SHARE)
