"""Calls of Linux that Python has no name for; numbers are those of the kernel's headers."""

import ctypes
import errno
import os
import struct

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_NOSUID, MOUNT_ATTR_IDMAP = 0x2, 0x100000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
PR_SET_DUMPABLE = 4
MNT_DETACH = 2
# The same numbers on every machine, as of Linux 5.2.
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442

_library = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _demand("unshare", _library.unshare(flags))


def join_user_namespace(descriptor: int) -> None:
    """Enter a user namespace."""
    _demand("setns", _library.setns(descriptor, CLONE_NEWUSER))


def keep_readable() -> None:
    """Keep our files in /proc ours after a change of ids, so that a parent can write our id maps."""
    _demand("prctl", _library.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))


def make_mounts_private() -> None:
    """Let no mount of this namespace be seen in another."""
    flags = ctypes.c_ulong(MS_REC | MS_PRIVATE)
    _demand("mount", _library.mount(b"none", b"/", None, flags, None))


def mount_memory(target: str) -> None:
    """Mount a small file system in memory, that all may pass through and none but its owner write."""
    data = b"mode=755,size=64k,nr_inodes=64"
    _demand("mount", _library.mount(b"tmpfs", os.fsencode(target), b"tmpfs", ctypes.c_ulong(0), data))


def mount_idmapped(source: str, target: str, user_namespace: int) -> None:
    """Mount a tree at another place, its owners shifted as the namespace maps ids (Linux 5.12)."""
    flags = ctypes.c_uint(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    tree = _library.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(source), flags)
    _demand(f"open_tree({source})", tree)
    try:
        # struct mount_attr: attributes set, cleared, propagation, user namespace.
        attributes = struct.pack("QQQQ", MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID, 0, 0, user_namespace)
        result = _library.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
        _demand(f"mount_setattr({source})", result)
        place = os.fsencode(target)
        result = _library.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH)
        _demand(f"move_mount({target})", result)
    finally:
        os.close(tree)


def let_go(mount: str) -> None:
    """Detach a mount with all below it; no error where nothing is mounted there."""
    if _library.umount2(os.fsencode(mount), MNT_DETACH) == -1 and ctypes.get_errno() != errno.EINVAL:
        _demand(f"umount2({mount})", -1)


def _demand(what: str, result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
