"""Limits by cgroup version 2, where the controllers are delegated to us."""

import os
from contextlib import suppress
from pathlib import Path

from runtime.host.errors import SandboxGoneError
from runtime.host.limits.cgroup_v1 import PERIOD_MICROSECONDS, group_name, remove_group, sweep_groups
from runtime.host.limits.mechanism import CGROUP_BOUNDS, Usage, cgroup_resource_limits
from runtime.host.record import Limits

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = frozenset({"memory", "pids", "cpu"})
OWN_LEAF = "commandcenter-runtime"


class CgroupV2:
    """A group for each sandbox beside our own leaf: a group with controllers may hold no processes itself."""

    name = "cgroup-v2"
    bounds = CGROUP_BOUNDS

    def __init__(self) -> None:
        self._parent = _group_of("self")
        if self._parent.name == OWN_LEAF:
            self._parent = self._parent.parent
        leaf = self._parent / OWN_LEAF
        if self._parent != MOUNT:
            leaf.mkdir(exist_ok=True)
            for pid in (self._parent / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (leaf / "cgroup.procs").write_text(pid)
        enabled = " ".join(f"+{name}" for name in sorted(CONTROLLERS))
        (self._parent / "cgroup.subtree_control").write_text(enabled)

    @classmethod
    def available(cls) -> bool:
        """Whether the three controllers are ours to give on."""
        try:
            own = _group_of("self")
            controllers = (own / "cgroup.controllers").read_text().split()
        except OSError:
            return False
        return set(controllers) >= CONTROLLERS and os.access(own / "cgroup.subtree_control", os.W_OK)

    def admit(self, sandbox_id: str, pid: int, limits: Limits) -> "GroupV2":
        """Make the sandbox's group, set its bounds, and put its pid 1 there."""
        folder = self._parent / group_name(sandbox_id)
        folder.mkdir(exist_ok=True)
        group = GroupV2(folder)
        group.bound(limits)
        try:
            (folder / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError as error:
            group.remove()
            raise SandboxGoneError("The sandbox ended while it was started.") from error
        return group

    def find(self, sandbox_id: str, pid: int, limits: Limits) -> "GroupV2":
        """The group that its pid 1 is in."""
        folder = _group_of(str(pid))
        if folder.name != group_name(sandbox_id):
            return self.admit(sandbox_id, pid, limits)
        return GroupV2(folder)

    def sweep(self) -> None:
        """Groups that have been empty for a while; the kernel refuses to remove others."""
        sweep_groups(self._parent)

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """Open files have no cgroup."""
        return cgroup_resource_limits(limits)


class GroupV2:
    """One sandbox's group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bound(self, limits: Limits) -> None:
        """Set the limits; no swap, where there is any."""
        (self._folder / "memory.max").write_text(str(limits.memory))
        with suppress(OSError):
            (self._folder / "memory.swap.max").write_text("0")
        (self._folder / "pids.max").write_text(str(limits.processes))
        quota = int(limits.processors * PERIOD_MICROSECONDS)
        (self._folder / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")

    def usage(self) -> Usage:
        """Read from the kernel's counters."""
        return Usage(
            processor_seconds=self._counter("cpu.stat", "usage_usec") / 1e6,
            memory=int((self._folder / "memory.current").read_text()),
            cache=self._counter("memory.stat", "file"),
        )

    def out_of_memory_kills(self) -> int:
        """The kernel's count."""
        return self._counter("memory.events", "oom_kill")

    def refused_processes(self) -> int:
        """The kernel's count."""
        return self._counter("pids.events", "max")

    def remove(self) -> None:
        """The kernel lets go of a group some moments after its last process."""
        remove_group(self._folder)

    def _counter(self, file: str, name: str) -> int:
        text = (self._folder / file).read_text()
        return int(dict(line.split() for line in text.splitlines()).get(name, 0))


def _group_of(process: str) -> Path:
    for line in Path("/proc", process, "cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return MOUNT / line[3:].lstrip("/")
    raise FileNotFoundError("no cgroup of version 2")
