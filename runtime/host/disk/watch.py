"""A watch over what sandboxes write where they have no file system of their own.

Best effort: between two looks a sandbox can write more than it may, and a file that was removed while a
process has it open is not seen. Who writes too much loses all processes, and uploads are refused until files
are removed; the sandbox itself goes on, so that they can be.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from runtime.host.disk.use import DiskUse, measure
from runtime.host.errors import HostError
from runtime.host.sandbox import Sandbox

log = structlog.get_logger("runtime.disk")

TICK_SECONDS = 0.25
LONGEST_SECONDS = 5
USUAL_SHARE, URGENT_SHARE = 20, 3
"""Looking takes a twentieth of the time at most; a third while the disk fills."""


@dataclass
class _Look:
    use: DiskUse
    free: int
    began: float
    seconds: float


class DiskWatch:
    """Looks at each sandbox the oftener the less room it has."""

    def __init__(self, sandboxes: Callable[[], Iterable[Sandbox]], data_of: Callable[[str], Path]) -> None:
        self._sandboxes = sandboxes
        self._data_of = data_of
        self._looks: dict[str, _Look] = {}

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            sandboxes = list(self._sandboxes())
            for sandbox in sandboxes:
                with suppress(OSError, HostError):  # it may end meanwhile
                    await self._watch(sandbox)
            ids = {sandbox.id for sandbox in sandboxes}
            self._looks = {each: look for each, look in self._looks.items() if each in ids}

    async def _watch(self, sandbox: Sandbox) -> None:
        data, limit = self._data_of(sandbox.id), sandbox.record.limits.disk
        free = shutil.disk_usage(data).free
        if not limit or not self._is_due(sandbox.id, free, limit):
            return
        began = time.monotonic()
        use = await asyncio.to_thread(measure, data, limit)
        self._looks[sandbox.id] = _Look(use, free, began, time.monotonic() - began)
        sandbox.disk_full = use.full
        if use.full:
            log.warning("sandbox_out_of_disk", sandbox=sandbox.id, used=use.used, limit=limit)
            await sandbox.end_for_want_of_disk()

    def _is_due(self, sandbox_id: str, free: int, limit: int) -> bool:
        last = self._looks.get(sandbox_id)
        if last is None:
            return True
        passed = time.monotonic() - last.began
        # If nobody else wrote, this sandbox has half of its rest left.
        filling = last.free - free >= (limit - last.use.used) / 2 or last.use.full
        share = URGENT_SHARE if filling else USUAL_SHARE
        return passed >= (last.seconds * share if filling else max(LONGEST_SECONDS, last.seconds * share))
