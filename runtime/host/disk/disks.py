"""What every way of bounding sandboxes' files offers, and plain folders as the simplest one."""

import resource
from pathlib import Path
from typing import Protocol

from runtime.host.disk.use import DiskUse, measure
from runtime.host.limits import Bound
from runtime.host.record import Limits


class Disks(Protocol):
    """Where sandboxes' own files lie. Methods block for some milliseconds, `use` maybe longer."""

    bound: Bound

    def make(self, folder: Path, target: Path, size: int) -> None:
        """Get `target` ready for files of `size` bytes at most; `folder` is a new sandbox's."""
        ...

    def take_up(self, folder: Path, target: Path) -> None:
        """The same for one that an earlier runtime made."""
        ...

    def release(self, target: Path) -> None:
        """Let go of it: the sandbox is about to be removed."""
        ...

    def close(self) -> None:
        """Let go of all: the runtime stops, and files stay."""
        ...

    def use(self, target: Path, limit: int) -> DiskUse:
        """What is used of it."""
        ...

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """Limits that the supervisor sets on itself."""
        ...


class Folders:
    """Folders on the disk that the runtime itself is on; `DiskWatch` watches them."""

    bound = Bound("rlimit for each file, and a watch over their sum", firm=False)

    def make(self, _folder: Path, _target: Path, _size: int) -> None:
        """A folder is all it takes."""

    def take_up(self, _folder: Path, _target: Path) -> None:
        """It is there."""

    def release(self, _target: Path) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""

    def use(self, target: Path, limit: int) -> DiskUse:
        """Added up, file by file."""
        return measure(target, limit)

    def resource_limits(self, limits: Limits) -> dict[int, int]:
        """No single file may be larger than all are allowed to be together."""
        return {resource.RLIMIT_FSIZE: limits.disk} if limits.disk else {}
