"""One file, folder or other entry of a layer: opened without following links, and copied as it is.

Trees come from sandboxes, so every name in them is hostile: all is reached from an open folder, one name at
a time, and what can't be in an honest layer (device nodes but whiteouts, sockets) is left out.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OPAQUE = "user.overlay.opaque"
FICLONE = 0x40049409
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What overlayfs notes in a tree about the trees below it: wrong as soon as the tree is below others.
BOUND_TO_PLACE = frozenset(f"user.overlay.{name}" for name in ("origin", "impure", "nlink", "upper", "uuid"))
KEPT_ATTRIBUTES = ("user.", "system.posix_acl_", "security.capability")
CANNOT_COPY_RANGES = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))


def is_whiteout(found: os.stat_result) -> bool:
    """Whether an entry says that what is below it is gone."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(folder: int) -> bool:
    """Whether a folder hides the folders of its name below it."""
    try:
        return os.getxattr(folder, OPAQUE) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return False
        raise


@contextmanager
def opened(name: str, folder: int | None, flags: int) -> Iterator[int]:
    """An entry open for reading, also one that its owner, whom we are, may not read."""
    mode = None
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except PermissionError:
        # Nobody else is in a tree that is copied, so nobody sees this. Attributes ask for it all the while.
        mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        _set_mode(name, folder, mode | stat.S_IRWXU)
        descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        if mode is not None:
            _set_mode(name, folder, mode)


def copy_entry(name: str, source: int, target: int, found: os.stat_result) -> bool:
    """Copy anything but a folder; gives whether it is of a kind that layers hold."""
    kind = found.st_mode
    if stat.S_ISREG(kind):
        return _copy_file(name, source, target, found)
    if stat.S_ISLNK(kind):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif stat.S_ISFIFO(kind):
        os.mkfifo(name, 0o600, dir_fd=target)
        _set_mode(name, target, stat.S_IMODE(found.st_mode))
    elif is_whiteout(found):
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=target)
    else:
        return False
    with suppress(PermissionError):
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    return True


def copy_properties(source: int, target: int, found: os.stat_result) -> None:
    """Owner, attributes, mode and times, between open files or folders; `found` is what the source is."""
    with suppress(PermissionError):  # an ordinary user has nothing but its own
        os.fchown(target, found.st_uid, found.st_gid)
    for name in os.listxattr(source):
        if name.startswith(KEPT_ATTRIBUTES) and name not in BOUND_TO_PLACE:
            with suppress(PermissionError):
                os.setxattr(target, name, os.getxattr(source, name))
    # Only now: it may bar us from the attributes.
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_file(name: str, source: int, target: int, found: os.stat_result) -> bool:
    with opened(name, source, FILE_FLAGS) as reading:
        if not stat.S_ISREG(os.fstat(reading).st_mode):
            return False
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            _copy_content(reading, writing, found)
            copy_properties(reading, writing, found)
        finally:
            os.close(writing)
    return True


def _copy_content(reading: int, writing: int, found: os.stat_result) -> None:
    if found.st_size == 0:
        return
    with suppress(OSError):  # most file systems can't share blocks
        fcntl.ioctl(writing, FICLONE, reading)
        return
    if found.st_blocks * 512 >= found.st_size:
        _copy_range(reading, writing, 0, found.st_size)
        return
    # With holes: a file that says to be a terabyte long takes no more here than it does there.
    at = 0
    while at < found.st_size:
        try:
            begin = os.lseek(reading, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        at = os.lseek(reading, begin, os.SEEK_HOLE)
        _copy_range(reading, writing, begin, at - begin)
    os.ftruncate(writing, found.st_size)


def _copy_range(reading: int, writing: int, offset: int, count: int) -> None:
    end = offset + count
    while offset < end:
        try:
            copied = os.copy_file_range(reading, writing, end - offset, offset, offset)
        except OSError as error:
            if error.errno not in CANNOT_COPY_RANGES:
                raise
            os.lseek(writing, offset, os.SEEK_SET)
            copied = os.sendfile(writing, reading, offset, end - offset)
        if copied == 0:
            return
        offset += copied


def _set_mode(name: str, folder: int | None, mode: int) -> None:
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        Path(f"/proc/self/fd/{place}").chmod(mode)
    finally:
        os.close(place)
