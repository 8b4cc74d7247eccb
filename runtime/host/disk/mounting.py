"""Loop devices and mounts, by the kernel's own calls: a program for each would take longer than they do."""

import ctypes
import errno
import fcntl
import os
import struct
from pathlib import Path

CONTROL = Path("/dev/loop-control")
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_GET_STATUS = 0x4C82, 0x4C0A, 0x4C05
AUTOMATICALLY_CLEARED, DIRECT = 4, 16
BLOCK = 4096
ATTEMPTS = 64
CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_NOATIME, MS_BIND = 0x2, 0x4, 0x400, 0x1000
MS_REC, MS_SLAVE = 0x4000, 1 << 19
MNT_DETACH = 2

_library = ctypes.CDLL(None, use_errno=True)


def enter_own_mounts() -> None:
    """Mount from now on where nobody else sees it: all of it goes with the last process that does.

    Must be called before the first thread is started, since it holds for the calling thread alone.
    """
    _demand("unshare", _library.unshare(CLONE_NEWNS))
    _mount("none", Path("/"), None, MS_REC | MS_SLAVE)


def bind(folder: Path) -> None:
    """Make a folder a mount of its own, so that what is mounted below can be let go of at once."""
    _mount(str(folder), folder, None, MS_BIND)


def mount_image(image: Path, target: Path, *, is_new: bool) -> None:
    """Mount the ext4 file system of a file; unless it is new, it may be mounted elsewhere already."""
    device = None if is_new else _device_of(image)
    handle = None if device is not None else _attach(image)
    if handle is not None:
        device = f"/dev/loop{os.minor(os.fstat(handle).st_rdev)}"
    try:
        options = "discard,noinit_itable,errors=remount-ro"
        _mount(device or "", target, "ext4", MS_NOSUID | MS_NODEV | MS_NOATIME, options)
    finally:
        if handle is not None:
            os.close(handle)  # the mount holds the device now; with the mount it goes


def unmount(target: Path) -> None:
    """Undo a mount; one that is still used goes with its last user. None there is no error."""
    if _library.umount2(os.fsencode(target), MNT_DETACH) == -1 and ctypes.get_errno() not in (
        errno.EINVAL,
        errno.ENOENT,
    ):
        _demand("umount", -1)


def _attach(image: Path) -> int:
    """A loop device for a file, opened; another process may take a free one before us."""
    file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(ATTEMPTS):
            control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
            try:
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            finally:
                os.close(control)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, _configuration(file))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
            else:
                return device
    finally:
        os.close(file)
    raise OSError(errno.EBUSY, "no loop device was free")


def _configuration(file: int) -> bytes:
    """`struct loop_config`: descriptor, block size, `loop_info64` with nothing but flags, reserved words."""
    information = bytearray(232)
    # Past the page cache of the file: each page would be held twice.
    struct.pack_into("<I", information, 52, AUTOMATICALLY_CLEARED | DIRECT)
    return struct.pack("<II", file, BLOCK) + bytes(information) + bytes(64)


def _device_of(image: Path) -> str | None:
    """The device that a file is already attached to: two for one file system would destroy it.

    Told by the file itself: its path is another one in the mounts of the process that attached it.
    """
    found = image.stat()
    wanted = (found.st_dev, found.st_ino)
    for attached in Path("/sys/block").glob("loop*/loop"):
        device = Path("/dev", attached.parent.name)
        if _file_of(device) == wanted:
            return str(device)
    return None


def _file_of(device: Path) -> tuple[int, int] | None:
    """Device and inode of what a loop device is attached to; None where it went away meanwhile."""
    try:
        handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # `struct loop_info64` begins with both, the device in the kernel's own form.
        information = fcntl.ioctl(handle, LOOP_GET_STATUS, bytes(232))
    except OSError:
        return None
    finally:
        os.close(handle)
    number, inode = struct.unpack_from("<QQ", information)
    minor = (number & 0xFF) | ((number >> 12) & ~0xFF)
    return os.makedev((number >> 8) & 0xFFF, minor), inode


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    result = _library.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _demand(f"mount {target}", result)


def _demand(what: str, result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
