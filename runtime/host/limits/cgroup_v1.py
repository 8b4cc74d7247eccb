"""Limits by cgroup version 1: a group in each of the hierarchies memory, pids, cpu and cpuacct."""

import os
import time
from contextlib import suppress
from pathlib import Path

from runtime.host.errors import SandboxGoneError
from runtime.host.limits.mechanism import CGROUP_BOUNDS, Usage, cgroup_resource_limits
from runtime.host.record import Limits

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
PERIOD_MICROSECONDS = 100_000
REMOVAL_ATTEMPTS = 50
SWEEP_AGE = 60


def group_name(sandbox_id: str) -> str:
    """The folder of a sandbox's group; told apart from others' groups by its beginning."""
    return f"commandcenter-{sandbox_id}"


class CgroupV1:
    """Below our own groups, so that what bounds the runtime bounds its sandboxes too."""

    name = "cgroup-v1"
    bounds = CGROUP_BOUNDS

    def __init__(self) -> None:
        own = _groups_of("self")
        self._parents = {controller: MOUNT / controller / own[controller] for controller in CONTROLLERS}

    @classmethod
    def available(cls) -> bool:
        """Whether we may make groups in all four hierarchies."""
        try:
            parents = cls()._parents.values()
        except (KeyError, OSError):
            return False
        return all((folder / "cgroup.procs").exists() and os.access(folder, os.W_OK) for folder in parents)

    def admit(self, sandbox_id: str, pid: int, limits: Limits) -> "GroupV1":
        """Make the sandbox's groups, set their bounds, and put its pid 1 there."""
        folders = {name: parent / group_name(sandbox_id) for name, parent in self._parents.items()}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        group = GroupV1(folders)
        group.bound(limits)
        try:
            for folder in folders.values():
                (folder / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError as error:
            group.remove()
            raise SandboxGoneError("The sandbox ended while it was started.") from error
        return group

    def find(self, sandbox_id: str, pid: int, limits: Limits) -> "GroupV1":
        """The groups that its pid 1 is in, wherever the runtime that made them was itself."""
        groups = _groups_of(str(pid))
        folders = {name: MOUNT / name / groups[name] for name in CONTROLLERS}
        if any(folder.name != group_name(sandbox_id) for folder in folders.values()):
            return self.admit(sandbox_id, pid, limits)
        return GroupV1(folders)

    def sweep(self) -> None:
        """Groups that have been empty for a while; the kernel refuses to remove others."""
        for parent in self._parents.values():
            sweep_groups(parent)

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """Open files have no cgroup."""
        return cgroup_resource_limits(limits)


class GroupV1:
    """One sandbox's groups."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders

    def bound(self, limits: Limits) -> None:
        """Set the limits; memory counts with swap where the kernel can count that."""
        memory, processor = self._folders["memory"], self._folders["cpu"]
        (memory / "memory.limit_in_bytes").write_text(str(limits.memory))
        with suppress(OSError):
            (memory / "memory.memsw.limit_in_bytes").write_text(str(limits.memory))
        (self._folders["pids"] / "pids.max").write_text(str(limits.processes))
        (processor / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (processor / "cpu.cfs_quota_us").write_text(str(int(limits.processors * PERIOD_MICROSECONDS)))

    def usage(self) -> Usage:
        """Read from the kernel's counters."""
        memory = self._folders["memory"]
        counted = dict(line.split() for line in (memory / "memory.stat").read_text().splitlines())
        return Usage(
            processor_seconds=int((self._folders["cpuacct"] / "cpuacct.usage").read_text()) / 1e9,
            memory=int((memory / "memory.usage_in_bytes").read_text()),
            cache=int(counted.get("total_cache", 0)),
        )

    def out_of_memory_kills(self) -> int:
        """The kernel's count."""
        text = (self._folders["memory"] / "memory.oom_control").read_text()
        return int(dict(line.split() for line in text.splitlines()).get("oom_kill", 0))

    def refused_processes(self) -> int:
        """The kernel's count."""
        text = (self._folders["pids"] / "pids.events").read_text()
        return int(dict(line.split() for line in text.splitlines()).get("max", 0))

    def remove(self) -> None:
        """The kernel lets go of a group some moments after its last process."""
        for folder in self._folders.values():
            remove_group(folder)


def remove_group(folder: Path) -> None:
    """Remove an empty group, waiting for it to become empty."""
    for _ in range(REMOVAL_ATTEMPTS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return


def sweep_groups(parent: Path) -> None:
    """Remove sandboxes' empty groups, but for those that are just being made."""
    for folder in parent.glob(group_name("*")):
        with suppress(OSError):
            if time.time() - folder.stat().st_ctime > SWEEP_AGE:
                folder.rmdir()


def _groups_of(process: str) -> dict[str, str]:
    """The group of a process in each hierarchy, relative to its mount."""
    groups = {}
    for line in Path("/proc", process, "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path.lstrip("/")
    return groups
