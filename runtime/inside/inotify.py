"""The kernel's inotify, of which Python's standard library has nothing."""

from __future__ import annotations

import ctypes
import os

MODIFY = 0x2
ATTRIB = 0x4
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
QUEUE_OVERFLOW = 0x4000
IGNORED = 0x8000
IS_DIRECTORY = 0x4000_0000

_ONLY_DIRECTORIES = 0x0100_0000
_WATCHED = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
_HEADER_BYTES = 16
_READ_BYTES = 65_536

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """One inotify instance; its file descriptor is readable when something happened."""

    def __init__(self) -> None:
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, directory: bytes) -> int:
        """Watch a directory; gives the number its events carry. Raises OSError."""
        return _checked(
            _libc.inotify_add_watch(self.descriptor, directory, ctypes.c_uint32(_WATCHED | _ONLY_DIRECTORIES))
        )

    def remove(self, watch: int) -> None:
        """Stop watching one directory; one that is gone already is no error."""
        _libc.inotify_rm_watch(self.descriptor, watch)

    def read(self) -> list[tuple[int, int, int, bytes]]:
        """What happened since: watch number, mask, cookie that joins the two halves of a move, name."""
        try:
            data = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        events = []
        position = 0
        while position < len(data):
            watch, mask, cookie, length = (
                int.from_bytes(data[start : start + 4], "little", signed=start == position)
                for start in range(position, position + _HEADER_BYTES, 4)
            )
            name = data[position + _HEADER_BYTES : position + _HEADER_BYTES + length].rstrip(b"\0")
            events.append((watch, mask, cookie, name))
            position += _HEADER_BYTES + length
        return events

    def close(self) -> None:
        """End every watch of this instance."""
        os.close(self.descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
