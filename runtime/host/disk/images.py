"""A file system of its own for each sandbox, in a file of fixed size that grows as it is used.

It ends with ENOSPC by itself, whatever a sandbox does, and bounds the count of files too. Making one takes
some milliseconds: a formatted image is kept for each size, and copied with its holes.
"""

import os
import shutil
import subprocess
from pathlib import Path
from threading import Lock

from runtime.host.disk.mounting import CONTROL, bind, mount_image, unmount
from runtime.host.disk.use import DiskUse
from runtime.host.errors import MachineUnfitError
from runtime.host.limits import Bound
from runtime.host.record import Limits

MEBIBYTE = 1 << 20
IMAGE = "disk.ext4"
JOURNAL_MEBIBYTES = 4
SHARE_OF_TABLES = 50
"""A fiftieth more than asked for: the file system's own tables."""
BLOCKS_OF_A_FULL_ONE = 16
FORMATTED_KEPT = 32
FORMAT_SECONDS = 60
FORMAT = (
    "-q", "-F", "-m", "0", "-b", "4096", "-O", "^resize_inode", "-J", f"size={JOURNAL_MEBIBYTES}",
    "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
)  # fmt: skip


class Images:
    """The file systems of sandboxes, below `sandboxes`; `formatted` is a folder of our own for empty ones."""

    bound = Bound("a file system of its own", firm=True)

    def __init__(self, sandboxes: Path, formatted: Path) -> None:
        bind(sandboxes)
        self._sandboxes = sandboxes
        self._formatted = formatted
        shutil.rmtree(formatted, ignore_errors=True)
        formatted.mkdir(mode=0o700)
        self._formatting = Lock()

    @staticmethod
    def available() -> bool:
        """Whether we may make and mount them."""
        return os.geteuid() == 0 and os.access(CONTROL, os.R_OK | os.W_OK) and formatter() is not None

    def make(self, folder: Path, target: Path, size: int) -> None:
        """Make a sandbox's file system of `size` bytes in its folder, and mount it."""
        whole = size + size // SHARE_OF_TABLES + (JOURNAL_MEBIBYTES + 4) * MEBIBYTE
        with self._formatting:
            copy_with_holes(self._of_size(whole), folder / IMAGE)
        mount_image(folder / IMAGE, target, is_new=True)

    def take_up(self, folder: Path, target: Path) -> None:
        """Mount the file system of a sandbox that has one and that an earlier runtime made."""
        if (folder / IMAGE).exists() and not target.is_mount():
            mount_image(folder / IMAGE, target, is_new=False)

    def use(self, target: Path, _limit: int) -> DiskUse:
        """What the file system itself says."""
        found = os.statvfs(target)
        full = found.f_bavail * found.f_frsize < BLOCKS_OF_A_FULL_ONE * found.f_frsize or not found.f_favail
        return DiskUse((found.f_blocks - found.f_bfree) * found.f_frsize, full=full)

    def release(self, target: Path) -> None:
        """Unmount it; what was written is on disk when its last user is gone."""
        unmount(target)

    def close(self) -> None:
        """Unmount all that is mounted below the sandboxes' folder."""
        unmount(self._sandboxes)

    def resource_limits(self, _limits: Limits) -> dict[int, int]:
        """The file system bounds every file."""
        return {}

    def _of_size(self, size: int) -> Path:
        """An empty one, made at the first use; only so many sizes are kept."""
        image = self._formatted / f"{size}.ext4"
        if not image.exists():
            kept = sorted(self._formatted.iterdir(), key=lambda each: each.stat().st_mtime)
            for oldest in kept[: max(0, len(kept) - FORMATTED_KEPT + 1)]:
                oldest.unlink()
            _format(image, size)
        return image


def formatter() -> str | None:
    """The program that makes a file system; in /sbin, which not everybody's PATH has."""
    return shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def copy_with_holes(source: Path, target: Path) -> None:
    """Copy a sparse file to a new one by the parts of it that hold something."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(reading).st_size
        os.truncate(writing, size)
        end = 0
        while (begin := _next_data(reading, end, size)) < size:
            end = os.lseek(reading, begin, os.SEEK_HOLE)
            while begin < end:
                begin += os.copy_file_range(reading, writing, end - begin, begin, begin)
    finally:
        os.close(reading)
        os.close(writing)


def _next_data(descriptor: int, offset: int, size: int) -> int:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:  # ENXIO: nothing but a hole follows
        return size


def _format(image: Path, size: int) -> None:
    with image.open("xb") as file:
        file.truncate(size)
    program = formatter()
    if program is None:
        raise MachineUnfitError("mkfs.ext4 is missing; install e2fsprogs.")
    made = subprocess.run(
        [program, *FORMAT, str(image)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FORMAT_SECONDS,
        check=False,
    )
    if made.returncode != 0:
        image.unlink()
        raise MachineUnfitError(f"A file system for a sandbox could not be made: {made.stderr.strip()}")
