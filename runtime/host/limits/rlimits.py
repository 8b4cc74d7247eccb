"""Limits without cgroups: rlimits for each process, and a watch over the sum of their memory.

Best effort, and said so: processor shares are not bounded, and memory is checked once a second.
"""

import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runtime.host.limits.mechanism import Bound, Usage, shared_resource_limits
from runtime.host.record import Limits

PAGE = os.sysconf("SC_PAGE_SIZE")
NICENESS = 5
NEARLY_ALL = 0.95
TICKS = os.sysconf("SC_CLK_TCK")


class Rlimits:
    """What an ordinary user can do."""

    name = "rlimits"
    bounds: Mapping[str, Bound] = {
        "memory": Bound("rlimit for each process, and a watch over their sum", firm=False),
        "processes": Bound("rlimit", firm=True),
        "processors": Bound("not bounded, but the runtime goes first (nice)", firm=False),
        "open_files": Bound("rlimit", firm=True),
    }

    def admit(self, _sandbox_id: str, pid: int, limits: Limits) -> "ProcessTree":
        """The supervisor bounds itself; here is what watches it, and lets the runtime go first."""
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
        return ProcessTree(pid, limits)

    def find(self, _sandbox_id: str, pid: int, limits: Limits) -> "ProcessTree":
        """The watch over a sandbox that an earlier runtime started."""
        return ProcessTree(pid, limits)

    def sweep(self) -> None:
        """Nothing is left behind."""

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """DATA rather than AS: runtimes such as node reserve much more than they use."""
        return shared_resource_limits(limits) | {resource.RLIMIT_DATA: limits.memory}


class ProcessTree:
    """All processes of a sandbox: the descendants of its pid 1, which takes in every orphan."""

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid = pid
        self._limits = limits
        self._kills = 0
        self._crowded = 0

    def usage(self) -> Usage:
        """Summed over the processes."""
        resident = sum(_resident(pid) for pid in self._pids())
        seconds = sum(_processor_ticks(pid) for pid in self._pids()) / TICKS
        return Usage(processor_seconds=seconds, memory=resident, cache=0)

    def out_of_memory_kills(self) -> int:
        """How often the watch had to end a process."""
        return self._kills

    def refused_processes(self) -> int:
        """The kernel counts no refusals here: how often the watch found nearly as many as there may be."""
        return self._crowded

    def watch(self) -> None:
        """End the largest process where all together hold more than the sandbox may."""
        sizes = {pid: _resident(pid) for pid in self._pids()}
        self._crowded += len(sizes) >= NEARLY_ALL * self._limits.processes
        if sum(sizes.values()) <= self._limits.memory:
            return
        sizes.pop(self._pid, None)
        if sizes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(max(sizes, key=lambda pid: sizes[pid]), signal.SIGKILL)
                self._kills += 1

    def remove(self) -> None:
        """Nothing was made."""

    def _pids(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            for thread in _threads(pid):
                with suppress(OSError):
                    found += [int(child) for child in (thread / "children").read_text().split()]
        return found


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _processor_ticks(pid: int) -> int:
    """Its own time and that of the children it has collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])
