"""The files of a volume, from outside. Sandboxes write in it meanwhile, so all in it is hostile.

A path is walked name by name from the volume's own folder, and no link is ever followed: neither out of the
volume nor within it.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.layers.errors import DiskFullError
from runtime.layers.removing import remove_tree
from runtime.volumes.errors import (
    InvalidVolumeError,
    PathNotFoundError,
    PathRefusedError,
    PathTakenError,
)

USER_ID = 1000
HIGHEST_ID = 65_535
FOLDER_MODE, FILE_MODE = 0o755, 0o644
DEEPEST_LIST = 10
LONGEST_LIST = 100_000
PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_PLACE = PLACE | os.O_DIRECTORY


@dataclass(frozen=True)
class Owner:
    """Whose a file is to be, by the ids inside; None is nobody in particular: the sandboxes' user."""

    user: int | None = None
    group: int | None = None
    mode: int | None = None


@dataclass(frozen=True)
class Entry:
    """What is at a path; `target` is where a link points."""

    path: str
    found: os.stat_result
    target: str | None

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path.rpartition("/")[2] or "/"

    @property
    def owner(self) -> tuple[int, int]:
        """User and group, as inside; without root all that is ours is the sandboxes' user's."""
        ids = (self.found.st_uid, self.found.st_gid)
        return ids if os.geteuid() == 0 else (USER_ID, USER_ID)


class VolumeTree:
    """One volume's files; every method blocks, and raises this package's errors."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def stat(self, path: str) -> Entry:
        """What is at a path."""
        with self._at(path) as (parent, name):
            return _entry(parent, name, _joined(path))

    def list_folder(self, path: str, depth: int) -> list[Entry]:
        """What is in a folder, and in those below it down to `depth`."""
        if depth > DEEPEST_LIST:
            raise InvalidVolumeError(f"depth must be between 1 and {DEEPEST_LIST}")
        rows: list[Entry] = []
        with self._at(path) as (parent, name):
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise InvalidVolumeError(f"path '{path}' is not a directory")
            _list(parent, name, _joined(path).rstrip("/"), max(depth, 1), rows)
        return rows

    def make_folder(self, path: str, owner: Owner, *, parents: bool) -> Entry:
        """Make a folder; with `parents` those above it too, and one that is there is no error."""
        with self._at(path, make=owner if parents else None) as (parent, name):
            try:
                os.mkdir(name, FOLDER_MODE, dir_fd=parent)
            except FileExistsError:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if not parents or not stat.S_ISDIR(found.st_mode):
                    raise
            else:
                _own(parent, name, owner, FOLDER_MODE)
            return _entry(parent, name, _joined(path))

    def update(self, path: str, owner: Owner) -> Entry:
        """Change owner or mode of what is at a path."""
        with self._at(path) as (parent, name):
            _own(parent, name, owner, None)
            return _entry(parent, name, _joined(path))

    def remove(self, path: str) -> None:
        """Remove what is at a path, with all below it."""
        if not _names(path):
            raise InvalidVolumeError("cannot delete root")
        with self._at(path) as (parent, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                remove_tree(Path(name), parent)
            else:
                os.unlink(name, dir_fd=parent)

    def open(self, path: str) -> int:
        """A regular file, open for reading."""
        with self._at(path) as (parent, name):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=parent)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise InvalidVolumeError(f"path '{path}' is not a file")
            return descriptor

    def begin_file(self, path: str, owner: Owner, *, parents: bool) -> int:
        """A file without a name, open for writing: what is never finished leaves nothing behind."""
        with self._at(path, make=owner if parents else None) as (parent, _):
            folder = os.open(f"/proc/self/fd/{parent}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE, dir_fd=folder)
            finally:
                os.close(folder)

    def finish_file(self, path: str, written: int, owner: Owner, *, replace: bool) -> Entry:
        """Give a file that was begun its name; what is there already is replaced, or an error."""
        with self._at(path) as (parent, name):
            _own_open(f"/proc/self/fd/{written}", os.fstat(written), owner, FILE_MODE)
            new = f".e2b-upload-{secrets.token_hex(8)}" if replace else name
            os.link(f"/proc/self/fd/{written}", new, dst_dir_fd=parent, follow_symlinks=True)
            if replace:
                try:
                    os.rename(new, name, src_dir_fd=parent, dst_dir_fd=parent)
                except OSError:
                    os.unlink(new, dir_fd=parent)
                    raise
            return _entry(parent, name, _joined(path))

    @contextmanager
    def _at(self, path: str, make: Owner | None = None) -> Iterator[tuple[int, str]]:
        """The folder that a path lies in, and its name there; with `make`, folders that are missing come."""
        names = _names(path)
        with _explained(path), ExitStack() as stack:
            parent = os.open(self._files, FOLDER_PLACE)
            stack.callback(os.close, parent)
            for name in names[:-1]:
                if make is not None:
                    with suppress(FileExistsError):
                        os.mkdir(name, FOLDER_MODE, dir_fd=parent)
                        _own(parent, name, Owner(make.user, make.group), FOLDER_MODE)
                parent = os.open(name, FOLDER_PLACE, dir_fd=parent)
                stack.callback(os.close, parent)
            yield parent, names[-1] if names else "."


def _names(path: str) -> Sequence[str]:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names or "\0" in path or len(path.encode(errors="surrogateescape")) > 4096:
        raise InvalidVolumeError("path: expected names without '..', 4096 bytes at most")
    return names


def _joined(path: str) -> str:
    return "/" + "/".join(_names(path))


def _entry(parent: int, name: str, path: str) -> Entry:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else None
    return Entry(path, found, target)


def _list(parent: int, name: str, path: str, depth: int, rows: list[Entry]) -> None:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.scandir(folder) as found:
            names = sorted(each.name for each in found)
        for each in names:
            if len(rows) >= LONGEST_LIST:
                raise InvalidVolumeError(
                    f"more than {LONGEST_LIST} entries; list a folder below, or less deep"
                )
            with suppress(FileNotFoundError):  # it may go while it is listed
                rows.append(_entry(folder, each, f"{path}/{each}"))
                if depth > 1 and stat.S_ISDIR(rows[-1].found.st_mode):
                    _list(folder, each, f"{path}/{each}", depth - 1, rows)
    finally:
        os.close(folder)


def _own(parent: int, name: str, owner: Owner, default_mode: int | None) -> None:
    place = os.open(name, PLACE, dir_fd=parent)
    try:
        found = os.fstat(place)
        if stat.S_ISLNK(found.st_mode):
            raise InvalidVolumeError("a link has no owner or mode of its own; change what it points to")
        _own_open(f"/proc/self/fd/{place}", found, owner, default_mode)
    finally:
        os.close(place)


def _own_open(place: str, found: os.stat_result, owner: Owner, default_mode: int | None) -> None:
    """Set owner and mode of what is open; where `default_mode` is given it is new, and nobody's yet."""
    new = default_mode is not None
    user = owner.user if owner.user is not None or not new else USER_ID
    group = owner.group if owner.group is not None or not new else USER_ID
    if os.geteuid() == 0:
        os.chown(place, -1 if user is None else user, -1 if group is None else group)
    elif {user, group} - {None, USER_ID}:
        raise InvalidVolumeError(
            f"uid, gid: this runtime wasn't started by root, so all files belong to user {USER_ID}"
        )
    mode = owner.mode if owner.mode is not None else default_mode
    if mode is not None:
        Path(place).chmod(mode)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise PathNotFoundError(f"path '{path}' not found; links are not followed") from None
    except (FileExistsError, IsADirectoryError):
        raise PathTakenError(f"path '{path}' already exists; use force to replace a file") from None
    except PermissionError as error:
        raise PathRefusedError(f"path '{path}': {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidVolumeError(
                f"path '{path}' leads over a link; give the path that it points to"
            ) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError("There is no room on the disk for it; remove something.") from error
        raise PathRefusedError(f"path '{path}': {error.strerror}") from error
