"""How much of the disk files take, each counted once, whatever names it has."""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from runtime.layers.walk import walk

BLOCK_BYTES = 512


def disk_use(places: Mapping[str, Iterable[Path]]) -> dict[str, int]:
    """Bytes that the files below some folders take, by the folders' kind; blocks meanwhile.

    What lies in several places counts for the first one.
    """
    seen: set[tuple[int, int]] = set()
    used = {}
    for kind, folders in places.items():
        used[kind] = 0
        for folder in folders:
            for found in walk(folder):
                if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                    identity = (found.st_dev, found.st_ino)
                    if identity in seen:
                        continue
                    seen.add(identity)
                used[kind] += found.st_blocks * BLOCK_BYTES
    return used
