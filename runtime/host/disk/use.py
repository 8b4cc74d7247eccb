"""How much of the disk a sandbox's files take."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BYTES_PER_FILE = 1 << 14
"""There may be one file for so many bytes of a sandbox's disk, as ext4 has it by default."""
FEWEST_FILES = 4096


@dataclass(frozen=True)
class DiskUse:
    """Bytes that are used, and whether no more can be."""

    used: int
    full: bool


def measure(folder: Path, limit: int) -> DiskUse:
    """Add up what lies below a folder, by open folders, so that no link leads elsewhere; 0 bounds nothing.

    Ends as soon as it is too much; takes about 3 s for a million files, in the calling thread.
    """
    used = files = 0
    most_files = max(FEWEST_FILES, limit // BYTES_PER_FILE)
    for _, folders, names, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *names):
            with suppress(OSError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                counted_once = found.st_nlink == 1 or stat.S_ISDIR(found.st_mode)
                used += found.st_blocks * 512 // (1 if counted_once else found.st_nlink)
        files += len(folders) + len(names)
        if limit and (used >= limit or files >= most_files):
            return DiskUse(used, full=True)
    return DiskUse(used, full=False)
