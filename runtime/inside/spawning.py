"""Start a process with descriptors at given numbers, or on a terminal of its own."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import posix

FIRST_PASSED_DESCRIPTOR = 20
TERMINAL_WINDOW_SIZE = 0x5414
# Python ignores the first two in itself; a child must not inherit that.
RESTORED_SIGNALS = (
    _signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP,
)  # fmt: skip


def reserve_low_descriptors() -> None:
    """Take the numbers that processes are given descriptors at, so that no passed one has such a number."""
    while True:
        descriptor = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
        if descriptor >= FIRST_PASSED_DESCRIPTOR - 1:
            return


def spawn(
    arguments: bytes, environment: bytes, directory: bytes, places: dict[int, int], size: bytes
) -> tuple[int, int | None]:
    """Start a process in a session of its own; gives its pid, and its terminal where it has one.

    Arguments and environment are NUL-separated; `places` are its descriptor numbers by ours; a size, as
    `rows,columns`, asks for a terminal as its three first descriptors.
    """
    actions: list[tuple[int, int, int] | tuple[int, int, bytes, int, int]] = []
    for descriptor, number in places.items():
        actions.append((posix.POSIX_SPAWN_DUP2, descriptor, number))
    terminal = slave = None
    if size:
        terminal, slave = posix.openpty()
        fcntl.ioctl(terminal, TERMINAL_WINDOW_SIZE, _window_size(size))
        # Opened by the leader of a new session, it becomes the controlling terminal.
        actions.append((posix.POSIX_SPAWN_OPEN, 0, posix.ttyname(slave).encode(), posix.O_RDWR, 0))
        actions.append((posix.POSIX_SPAWN_DUP2, 0, 1))
        actions.append((posix.POSIX_SPAWN_DUP2, 0, 2))
    argv = arguments.split(b"\0")
    variables = dict([pair.split(b"=", 1) for pair in environment.split(b"\0") if pair])
    try:
        _change_directory(directory)
        pid = posix.posix_spawnp(
            argv[0],
            argv,
            variables,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=RESTORED_SIGNALS,
        )
    except OSError:
        if terminal is not None:
            posix.close(terminal)
        raise
    finally:
        posix.chdir(b"/")
        if slave is not None:
            posix.close(slave)
    return pid, terminal


def _change_directory(directory: bytes) -> None:
    """Go there; the word `cwd` in the error tells it from that of a program that isn't there."""
    try:
        posix.chdir(directory)
    except OSError as error:
        raise OSError(error.errno, "cwd") from None


def _window_size(size: bytes) -> bytes:
    rows, columns = size.split(b",")
    return int(rows).to_bytes(2, "little") + int(columns).to_bytes(2, "little") + b"\0\0\0\0"
