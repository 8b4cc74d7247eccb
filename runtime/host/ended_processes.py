"""The processes of a sandbox that have ended, kept for those who still want their output and their end."""

import asyncio
from collections.abc import Callable, Iterator

from runtime.host.process import Process

KEPT_SECONDS = 30
MOST_KEPT = 256
MOST_UNACKNOWLEDGED = 1024
"""Each may hold both its streams' rings."""


class EndedProcesses:
    """Those that ended a moment ago, and those whose end nobody has acknowledged yet."""

    def __init__(self, forget: Callable[[str], None]) -> None:
        self._processes: list[Process] = []
        self._forget = forget

    def __iter__(self) -> Iterator[Process]:
        return iter(self._processes)

    def add(self, process: Process) -> None:
        """Keep one; of too many the oldest goes."""
        self._processes.append(process)
        lasting = process.request.until_acknowledged
        alike = [each for each in self._processes if each.request.until_acknowledged is lasting]
        if len(alike) > (MOST_UNACKNOWLEDGED if lasting else MOST_KEPT):
            self.drop(alike[0])
        if not lasting:
            self._drop_later(process)

    def drop(self, process: Process) -> None:
        """Give back what was kept of one; a second time is harmless."""
        if process in self._processes:
            self._processes.remove(process)
            process.close()
            self._forget(process.key)

    def take_all(self) -> list[Process]:
        """All of them, which are the caller's to close."""
        processes, self._processes = self._processes, []
        return processes

    def _drop_later(self, process: Process) -> None:
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop_unattended, process)

    def _drop_unattended(self, process: Process) -> None:
        if process.attended:
            self._drop_later(process)
        else:
            self.drop(process)
