"""Put the sandbox's root together, in its own mount namespace, after bubblewrap has let go of the host's.

bubblewrap mounts everything side by side at the top of a root of its own that no sandbox can write. Here
the parts are put into the sandbox's own tree, whose folders it may have replaced by links: by now those lead
nowhere but into the tree itself, and no link is followed all the same.
"""

from __future__ import annotations

import errno
import posix
import stat

from runtime.inside.system_calls import demand

TREE = b"/tree"
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2


def assemble_root(mounts: list[tuple[bytes, bytes]]) -> None:
    """Make the tree the root, with each source mounted at its target in it; nothing else stays in sight."""
    # Where user namespaces are nested, bubblewrap's mounts belong to the outer one; ours are free to change.
    demand("unshare", CLONE_NEWNS)
    demand("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    demand("mount", TREE, TREE, None, MS_BIND | MS_REC, None)
    for source, target in mounts:
        place = _open_target(target, directory=stat.S_ISDIR(posix.stat(source).st_mode))
        demand("mount", source, b"/proc/self/fd/%d" % place, None, MS_BIND | MS_REC, None)
        posix.close(place)
    posix.chdir(TREE)
    demand("pivot_root", b".", b".")
    demand("umount2", b".", MNT_DETACH)
    posix.chdir(b"/")


def _open_target(path: bytes, *, directory: bool) -> int:
    """The place of a mount in the tree, made where it is missing; a link or another thing is put away."""
    parent = posix.open(TREE, posix.O_PATH | posix.O_DIRECTORY)
    *folders, last = path.strip(b"/").split(b"/")
    for name in folders:
        deeper = _enter(parent, name, directory=True)
        posix.close(parent)
        parent = deeper
    try:
        return _enter(parent, last, directory=directory)
    finally:
        posix.close(parent)


def _enter(parent: int, name: bytes, *, directory: bool) -> int:
    flags = posix.O_PATH | posix.O_NOFOLLOW | posix.O_CLOEXEC
    if name in (b"", b".", b".."):
        raise SystemExit(f"no place for a mount: {name!r}")
    try:
        found = posix.open(name, flags, dir_fd=parent)
        kind = posix.fstat(found).st_mode
        if stat.S_ISDIR(kind) if directory else stat.S_ISREG(kind):
            return found
        posix.close(found)
        _put_away(parent, name, is_directory=stat.S_ISDIR(kind))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    if directory:
        posix.mkdir(name, 0o755, dir_fd=parent)
    else:
        posix.close(posix.open(name, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o644, dir_fd=parent))
    return posix.open(name, flags, dir_fd=parent)


def _put_away(parent: int, name: bytes, *, is_directory: bool) -> None:
    """Make room under a name, without losing what the sandbox keeps there."""
    if is_directory:
        posix.rename(name, name + b".replaced", src_dir_fd=parent, dst_dir_fd=parent)
    else:
        posix.unlink(name, dir_fd=parent)
