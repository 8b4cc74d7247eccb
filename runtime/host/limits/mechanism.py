"""What every way of limiting offers."""

import resource
from dataclasses import dataclass
from typing import Protocol

from runtime.host.record import Limits


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

    def remove(self) -> None:
        """Called when its processes are gone."""
        ...


class LimitMechanism(Protocol):
    """A way of limiting on this machine."""

    name: str
    enforces: dict[str, str]
    """By resource, how it is bounded: shown to whoever asks what holds here."""

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


def shared_resource_limits(limits: Limits) -> dict[int, int]:
    """The rlimits that hold beside any mechanism. NPROC counts per user namespace, so a sandbox's own."""
    return {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
