"""How much of the disk a sandbox's files take."""

import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from runtime.layers.disk import BLOCK_BYTES
from runtime.layers.walk import walk

BYTES_PER_FILE = 1 << 14
"""There may be one file for so many bytes of a sandbox's disk, as ext4 has it by default."""
FEWEST_FILES = 4096


@dataclass(frozen=True)
class DiskUse:
    """Bytes that are used, and whether no more can be."""

    used: int
    full: bool


def measure(folder: Path, limit: int) -> DiskUse:
    """Add up what lies below a folder; 0 bounds nothing.

    Ends as soon as it is too much; takes about 10 s for a million files, in the calling thread.
    """
    used = files = 0
    most_files = max(FEWEST_FILES, limit // BYTES_PER_FILE)
    with closing(walk(folder)) as entries:
        for found in entries:
            counted_once = found.st_nlink == 1 or stat.S_ISDIR(found.st_mode)
            used += found.st_blocks * BLOCK_BYTES // (1 if counted_once else found.st_nlink)
            files += 1
            if limit and (used >= limit or files >= most_files):
                return DiskUse(used, full=True)
    return DiskUse(used, full=False)
