"""Whole directories: listed to a depth, removed, made and moved."""

from __future__ import annotations

import os
import stat
from itertools import islice

from runtime.inside.entries import describe
from runtime.inside.framing import pack
from runtime.inside.paths import make_parents
from runtime.inside.refusals import RefusalError, refusal_of
from runtime.inside.uploads import is_unfinished_upload

_WRITE_BYTES = 262_144
_BATCH = 1_000


def list_tree(root: bytes, depth: int, most_entries: int, pipe: int) -> int:
    """Write the entries below `root` into a pipe as packed rows, each directory before what it holds.

    Links are listed, not followed, apart from `root` itself. More than `most_entries` is a refusal.
    Gives the number of entries.
    """
    try:
        real = os.path.realpath(root)
        mode = os.stat(root).st_mode
    except OSError as error:
        raise refusal_of(error, b"path not found: " + root) from error
    if not stat.S_ISDIR(mode):
        raise RefusalError(b"invalid_argument", b"path is not a directory: " + root)
    listed = 0
    buffer = bytearray()
    try:
        pending = _children(real, root, 1, most_entries)
    except OSError as error:
        raise refusal_of(error, b"error reading directory " + root) from error
    while pending:
        path, shown, is_directory, level = pending.pop()
        try:
            buffer += pack(describe(path, shown))
            listed += 1
            if is_directory and level < depth:
                pending += _children(path, shown, level + 1, most_entries - listed - len(pending))
        except (FileNotFoundError, PermissionError, RefusalError) as problem:
            if isinstance(problem, RefusalError) and problem.kind == b"invalid_argument":
                raise
            continue  # gone since it was named, or closed: neither hides its neighbours
        if len(buffer) >= _WRITE_BYTES:
            write_all(pipe, buffer)
            buffer.clear()
    write_all(pipe, buffer)
    return listed


def _children(directory: bytes, shown: bytes, level: int, room: int) -> list[tuple[bytes, bytes, bool, int]]:
    """What a directory holds, last name first: path, path shown, whether it is a directory, level."""
    children: list[tuple[bytes, bytes, bool, int]] = []
    with os.scandir(directory) as found:
        for entry in found:
            if is_unfinished_upload(entry.name):
                continue
            if len(children) >= room:
                advice = b"list with a smaller depth, or a directory below it"
                raise RefusalError(b"invalid_argument", b"too many entries at " + shown + b": " + advice)
            is_directory = entry.is_dir(follow_symlinks=False)
            children.append((entry.path, os.path.join(shown, entry.name), is_directory, level))
    children.sort(reverse=True)
    return children


def write_all(pipe: int, data: bytes | bytearray | memoryview) -> None:
    """Write everything into a pipe, however often it takes."""
    with memoryview(data) as rest:
        written = 0
        while written < len(rest):
            written += os.write(pipe, rest[written:])


def make_directory(path: bytes) -> bytes:
    """Make a directory and its parents; gives its entry."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        make_parents(path)
        return describe(path)
    except OSError as error:
        raise refusal_of(error, b"error getting file info of " + path) from error
    if stat.S_ISDIR(mode):
        raise RefusalError(b"already_exists", b"directory already exists: " + path)
    raise RefusalError(b"invalid_argument", b"path already exists but it is not a directory: " + path)


def move(source: bytes, destination: bytes) -> bytes:
    """Rename a file or directory, making the parents of its new path; gives the entry there."""
    try:
        os.lstat(source)
    except OSError as error:
        raise refusal_of(error, b"source file not found: " + source) from error
    make_parents(os.path.dirname(destination))
    try:
        os.rename(source, destination)
    except OSError as error:
        raise refusal_of(error, b"error renaming " + source + b" to " + destination) from error
    return describe(destination)


def remove(path: bytes) -> None:
    """Remove a file or a whole tree; what is not there is no error, and no link is followed."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        _remove_tree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise refusal_of(error, b"error removing file or directory " + path) from error


def _remove_tree(root: bytes) -> None:
    """Take a tree down with one open directory at a time: its depth is the sandbox's choice, not ours."""
    above: list[tuple[str | bytes, tuple[int, int]]] = []
    directory = _open_for_removal(root, None)
    try:
        while True:
            deeper = _remove_files(directory)
            if deeper is not None:
                child = _open_for_removal(deeper, directory)
                above.append((deeper, _identity(directory)))
                os.close(directory)
                directory = child
            elif above:
                name, identity = above.pop()
                parent = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = parent
                if _identity(directory) != identity:
                    raise RefusalError(b"failed_precondition", b"moved while it was removed: " + root)
                os.rmdir(name, dir_fd=directory)
            else:
                break
    finally:
        os.close(directory)
    os.rmdir(root)


def _open_for_removal(name: str | bytes, parent: int | None) -> int:
    """Open a directory, first making it writable: a tree with read-only directories goes as well."""
    mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    if mode & 0o700 != 0o700:
        os.chmod(name, mode | 0o700, dir_fd=parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _remove_files(directory: int) -> str | None:
    """Remove what is no directory; gives the name of a directory that is in the way, or None."""
    while True:
        with os.scandir(directory) as found:
            batch = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(found, _BATCH)]
        if not batch:
            return None
        deeper = None
        for name, is_directory in batch:
            if is_directory:
                deeper = name
            else:
                os.unlink(name, dir_fd=directory)
        if deeper is not None:
            return deeper


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino
