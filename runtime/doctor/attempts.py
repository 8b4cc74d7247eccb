"""Things tried in a child process that ends with it: what the kernel allows, told by what it answers."""

import ctypes
import errno
import os
import tempfile
from collections.abc import Callable

CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PR_SET_DUMPABLE = 4
ORDINARY_USER = 65534

_libc = ctypes.CDLL(None, use_errno=True)


def attempt(action: Callable[[], None]) -> int:
    """Do something in a child process, as an ordinary user; 0, or the number of the error it met."""
    child = os.fork()
    if child == 0:
        number = errno.EIO
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
                os.setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
                # The change of user took our own files in /proc from us.
                _call(_libc.prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
            action()
            number = 0
        except OSError as error:
            number = error.errno or errno.EIO
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def enter_user_namespace() -> None:
    """Be root in a user namespace of one's own."""
    user, group = os.geteuid(), os.getegid()
    _call(_libc.unshare, CLONE_NEWUSER | CLONE_NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - after a fork, as little as can be
            file.write(text)


def mount_overlay() -> None:
    """Mount an overlay in a user namespace, as sandboxes do, on a tmpfs that goes with it."""
    enter_user_namespace()
    folder = tempfile.gettempdir()
    _call(_libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    _call(_libc.mount, b"tmpfs", folder.encode(), b"tmpfs", 0, b"size=1m")
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{folder}/{name}")  # noqa: PTH102
    options = f"userxattr,lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    _call(_libc.mount, b"overlay", f"{folder}/merged".encode(), b"overlay", 0, options.encode())


def _call(function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
