"""How much of the disk files take, each counted once, whatever names it has."""

import os
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from runtime.layers.entries import FOLDER_FLAGS

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
                identity = (found.st_dev, found.st_ino)
                if found.st_nlink == 1 or stat.S_ISDIR(found.st_mode) or identity not in seen:
                    used[kind] += found.st_blocks * BLOCK_BYTES
                    seen.add(identity)
    return used


def walk(folder: Path) -> Iterator[os.stat_result]:
    """What each entry below a folder is, at any depth; no link is followed, and no mount.

    Ends early where the tree is moved about meanwhile.
    """
    try:
        here = os.open(folder, FOLDER_FLAGS)
    except OSError:
        return
    # Only one folder is open at a time: a tree can be deeper than there are descriptors. Of each folder from
    # the top down to here, this holds which it is and what is still to be seen in it.
    path: list[tuple[tuple[int, int], list[str]]] = []
    try:
        path.append((_identity(here), []))
        device = path[0][0][0]
        path[-1][1].extend((yield from _look(here, device)))
        while path:
            _, unseen = path[-1]
            if unseen:
                with suppress(OSError):
                    here = _go(here, unseen.pop())
                    path.append((_identity(here), []))
                    path[-1][1].extend((yield from _look(here, device)))
                continue
            path.pop()
            if path:
                here = _go(here, "..")
                if _identity(here) != path[-1][0]:
                    return
    except OSError:
        return
    finally:
        os.close(here)


def _look(folder: int, device: int) -> Generator[os.stat_result, None, list[str]]:
    """Tell what is in a folder; gives the names of the folders in it."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if found.st_dev != device:
                    continue
                yield found
                if stat.S_ISDIR(found.st_mode):
                    below.append(entry.name)
    return below


def _go(here: int, name: str) -> int:
    there = os.open(name, FOLDER_FLAGS, dir_fd=here)
    os.close(here)
    return there


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino
