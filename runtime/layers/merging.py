"""Make one tree of several that lie over each other, as overlayfs would show them; of one, a copy.

What the result lies on later is not among them, so whiteouts and opaque folders stay in it.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.layers.entries import FOLDER_FLAGS, OPAQUE, copy_entry, copy_properties, is_opaque, opened
from runtime.layers.errors import CaptureTooSlowError, DiskFullError, TreeTooDeepError

DEEPEST = 256
LONGEST_SECONDS = 600
PATH_LIMIT = 4000
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class _Folder:
    descriptor: int
    found: os.stat_result


def merge(sources: Sequence[Path], target: Path, *, link: bool = False) -> None:
    """Make `target` of `sources`, topmost first; nobody may change them meanwhile.

    With `link`, files are not copied but get another name: for sources that never change again. Raises
    `TreeTooDeepError`, `DiskFullError` or `CaptureTooSlowError`, and leaves what was made until then.
    """
    target.mkdir(mode=0o700)
    with ExitStack() as stack:
        folders = [_open(source, stack) for source in sources]
        made = _open(target, stack).descriptor
        try:
            _Merge(made, link=link).folder(folders, made, "", hidden=False)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise DiskFullError("There is no room on the disk for another layer; delete some.") from error
            raise


def make_alike(source: Path, target: Path) -> None:
    """Make an empty folder with the owner, mode and attributes of another."""
    target.mkdir(mode=0o700)
    with ExitStack() as stack:
        folder = _open(source, stack)
        copy_properties(folder.descriptor, _open(target, stack).descriptor, folder.found)


class _Merge:
    def __init__(self, target: int, *, link: bool) -> None:
        self._target = target
        self._link = link
        self._names: dict[tuple[int, int], str] = {}
        self._deadline = time.monotonic() + LONGEST_SECONDS

    def folder(self, sources: Sequence[_Folder], target: int, path: str, *, hidden: bool) -> None:
        """Fill a folder; `hidden` tells that something below the sources was hidden by them."""
        if path.count("/") > DEEPEST:
            raise TreeTooDeepError(f"Folders are nested more than {DEEPEST} deep; a layer can't hold that.")
        done: set[str] = set()
        for place, source in enumerate(sources):
            for name, found in _entries(source.descriptor):
                if name in done:
                    continue
                done.add(name)
                if time.monotonic() > self._deadline:
                    raise CaptureTooSlowError(
                        f"Copying took longer than {LONGEST_SECONDS} s and was given up."
                    )
                if stat.S_ISDIR(found.st_mode):
                    self._subfolder(name, sources[place:], target, f"{path}{name}/")
                else:
                    self._entry(name, source.descriptor, target, path + name, found)
        if hidden:
            os.setxattr(target, OPAQUE, b"y")
        copy_properties(sources[0].descriptor, target, sources[0].found)

    def _subfolder(self, name: str, sources: Sequence[_Folder], target: int, path: str) -> None:
        os.mkdir(name, 0o700, dir_fd=target)
        with opened(name, target, FOLDER_FLAGS) as made, _opened_below(name, sources) as (merged, hidden):
            self.folder(merged, made, path, hidden=hidden)

    def _entry(self, name: str, source: int, target: int, path: str, found: os.stat_result) -> None:
        if self._link and _linked(name, source, name, target):
            return
        identity = (found.st_dev, found.st_ino)
        known = self._names.get(identity) if found.st_nlink > 1 else None
        if known is not None and _linked(known, self._target, name, target):
            return
        if copy_entry(name, source, target, found) and found.st_nlink > 1 and len(path) < PATH_LIMIT:
            self._names[identity] = path


def _open(path: Path, stack: ExitStack) -> _Folder:
    return _Folder(stack.enter_context(opened(str(path), None, FOLDER_FLAGS)), path.lstat())


def _entries(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        for entry in found:
            yield entry.name, entry.stat(follow_symlinks=False)


def _linked(name: str, folder: int, new_name: str, new_folder: int) -> bool:
    """Whether a file could get another name; it may have as many as it can."""
    try:
        os.link(name, new_name, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        return False
    return True


@contextmanager
def _opened_below(name: str, sources: Sequence[_Folder]) -> Iterator[tuple[list[_Folder], bool]]:
    """The folders of a name that show through each other, and whether they hide what is below all."""
    merged: list[_Folder] = []
    hidden = False
    with ExitStack() as stack:
        for source in sources:
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=source.descriptor, follow_symlinks=False)
                hidden = not stat.S_ISDIR(found.st_mode)
                if not hidden:
                    folder = stack.enter_context(opened(name, source.descriptor, FOLDER_FLAGS))
                    merged.append(_Folder(folder, found))
                    hidden = is_opaque(folder)
                if hidden:
                    break
        yield merged, hidden
