"""What every way of limiting offers."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from runtime.host.record import Limits


class Bound(NamedTuple):
    """How a resource is bounded, in words, and whether that holds against a sandbox that tries its worst."""

    how: str
    firm: bool


CGROUP_BOUNDS: Mapping[str, Bound] = {
    "memory": Bound("cgroup", firm=True),
    "processes": Bound("cgroup", firm=True),
    "processors": Bound("cgroup", firm=True),
    "open_files": Bound("rlimit", firm=True),
}
SPARE_PROCESSES = 16
"""By so much the rlimit lies above a group's bound, which alone counts what it refuses."""


@dataclass(frozen=True)
class Usage:
    """What a sandbox uses: processor seconds since it started, bytes of memory, and of that, page cache."""

    processor_seconds: float
    memory: int
    cache: int


class LimitGroup(Protocol):
    """The bounds of one sandbox, in force. Methods block for well below a millisecond, `remove` longer."""

    def usage(self) -> Usage:
        """What it uses now."""
        ...

    def out_of_memory_kills(self) -> int:
        """How many of its processes were ended because it had no memory left."""
        ...

    def refused_processes(self) -> int:
        """How often it was refused another process because it had as many as it may."""
        ...

    def remove(self) -> None:
        """Called when its processes are gone."""
        ...


class LimitMechanism(Protocol):
    """A way of limiting on this machine."""

    name: str
    bounds: Mapping[str, Bound]
    """By resource."""

    def admit(self, sandbox_id: str, pid: int, limits: Limits) -> LimitGroup:
        """Bound pid 1 of a sandbox, and so all that it will start."""
        ...

    def find(self, sandbox_id: str, pid: int, limits: Limits) -> LimitGroup:
        """The bounds of a sandbox that an earlier runtime started."""
        ...

    def sweep(self) -> None:
        """Remove what sandboxes left whose runtime was killed and never came back."""
        ...

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """Limits that the supervisor sets on itself."""
        ...


def cgroup_resource_limits(limits: Limits) -> dict[int, int]:
    """The rlimits beside a cgroup."""
    return shared_resource_limits(replace(limits, processes=limits.processes + SPARE_PROCESSES))


def shared_resource_limits(limits: Limits) -> dict[int, int]:
    """The rlimits that hold beside any mechanism. NPROC counts per user namespace, so a sandbox's own."""
    return {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
