"""Everything below a folder, looked at with one open folder at a time.

Trees come from sandboxes and may be changed meanwhile: they can be deeper than there are descriptors, hold
folders that their owner, whom we are, may not read, and be moved about while we are in them.
"""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.layers.entries import FOLDER_FLAGS

PLACE_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_AND_SEARCH = stat.S_IRUSR | stat.S_IXUSR
LOST_LIMIT = 100
"""How often the way is found again in one tree."""


def walk(folder: Path) -> Generator[os.stat_result, None, None]:
    """What each entry below a folder is, at any depth; no link is followed, and no mount.

    What is moved about meanwhile may be missed or told twice. Close it where it isn't taken to its end.
    """
    try:
        tree = _Tree(folder)
    except OSError:
        return
    try:
        yield from tree.entries()
    except OSError:
        return
    finally:
        tree.close()


@dataclass
class _Folder:
    """A folder from the top down to where we are."""

    name: str
    identity: tuple[int, int]
    mode: int | None
    """What it was before we let ourselves in; None where nothing barred us."""
    unseen: list[str] = field(default_factory=list)


class _Tree:
    def __init__(self, top: Path) -> None:
        self._top = top
        self._here = os.open(top, FOLDER_FLAGS)
        self._path = [_Folder("", _identity(self._here), None)]
        self._device = self._path[0].identity[0]
        self._lost = 0

    def entries(self) -> Iterator[os.stat_result]:
        yield from self._look()
        while self._path:
            if not self._path[-1].unseen:
                self._go_up()
            elif self._go_down(self._path[-1].unseen.pop()):
                yield from self._look()

    def close(self) -> None:
        """Give the folders that we let ourselves into their modes back, and let go."""
        barred = next((depth for depth, each in enumerate(self._path) if each.mode is not None), None)
        with suppress(OSError):
            while barred is not None and len(self._path) > barred:
                self._go_up()
        os.close(self._here)

    def _look(self) -> Iterator[os.stat_result]:
        """Tell what is in this folder, and note the folders in it."""
        unseen = self._path[-1].unseen
        with suppress(OSError), os.scandir(self._here) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_dev != self._device:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        unseen.append(entry.name)
                    yield found

    def _go_down(self, name: str) -> bool:
        try:
            there, mode = _enter(name, self._here)
        except OSError:
            return False
        self._move(there)
        self._path.append(_Folder(name, _identity(there), mode))
        return True

    def _go_up(self) -> None:
        left = self._path.pop()
        if not self._path:
            return
        try:
            above = os.open("..", FOLDER_FLAGS, dir_fd=self._here)
        except OSError:  # it was removed meanwhile, or bars us again
            above = os.open(self._top, FOLDER_FLAGS)
        if left.mode is not None:
            _give_back(self._here, left.mode)
        self._move(above)
        if _identity(above) != self._path[-1].identity:
            self._find_way()

    def _find_way(self) -> None:
        """Go from the top as far down as the folders are still where they were."""
        self._lost += 1
        if self._lost > LOST_LIMIT:
            self._path.clear()
            return
        self._move(os.open(self._top, FOLDER_FLAGS))
        for depth, each in enumerate(self._path):
            try:
                if depth:
                    there, mode = _enter(each.name, self._here)
                    self._move(there)
                    each.mode = mode if each.mode is None else each.mode
                reached = _identity(self._here) == each.identity
            except OSError:
                reached = False
            if not reached:
                # Where we are now is not the folder above: only the way from the top leads there.
                del self._path[depth:]
                if self._path:
                    self._find_way()
                return

    def _move(self, there: int) -> None:
        os.close(self._here)
        self._here = there


def _enter(name: str, folder: int) -> tuple[int, int | None]:
    """Open a folder, also one that bars its owner; gives the mode it had where that had to be changed."""
    place = os.open(name, PLACE_FLAGS, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(place).st_mode)
        barred = os.geteuid() != 0 and mode & READ_AND_SEARCH != READ_AND_SEARCH
        if barred:
            Path(f"/proc/self/fd/{place}").chmod(mode | READ_AND_SEARCH)
        return os.open(".", FOLDER_FLAGS, dir_fd=place), mode if barred else None
    finally:
        os.close(place)


def _give_back(folder: int, mode: int) -> None:
    # Unless the sandbox has changed it itself since then.
    with suppress(OSError):
        if stat.S_IMODE(os.fstat(folder).st_mode) == mode | READ_AND_SEARCH:
            os.fchmod(folder, mode)


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino
