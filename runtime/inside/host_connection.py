"""The supervisor's end of the host's socket.

A message is a datagram: the byte `I` and its fields, or the byte `M` where they lie in a memory file that
comes as the last descriptor.
"""

from __future__ import annotations

import _socket
import posix

from runtime.inside.framing import pack, unpack

DATAGRAM_LIMIT = 1 << 18
MESSAGE_LIMIT = 1 << 23
DESCRIPTORS_PER_MESSAGE = 16
DESCRIPTOR_BYTES = 4


class HostConnection:
    """The host, on one socket."""

    def __init__(self, descriptor: int) -> None:
        self.socket = _socket.socket(fileno=descriptor)

    def send(self, fields: list[bytes], descriptors: list[int] | None = None) -> None:
        """Send a message; a host that went away is noticed by the next receive."""
        ancillary = []
        if descriptors:
            packed = b"".join([number.to_bytes(DESCRIPTOR_BYTES, "little") for number in descriptors])
            ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
        try:
            self.socket.sendmsg([b"I" + pack(*fields, limit=DATAGRAM_LIMIT)], ancillary)
        except OSError:
            return

    def receive(self) -> tuple[list[bytes], list[int]] | None:
        """The next message with its descriptors, or None when the host closed the connection."""
        space = _socket.CMSG_SPACE(DESCRIPTOR_BYTES * DESCRIPTORS_PER_MESSAGE)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(DATAGRAM_LIMIT, space, _socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return None
        descriptors = _passed(ancillary)
        if not data:
            close_all(descriptors)
            return None
        body = data[1:]
        if data[:1] == b"M":
            whole = descriptors.pop()
            body = posix.pread(whole, min(posix.fstat(whole).st_size, MESSAGE_LIMIT), 0)
            posix.close(whole)
        return unpack(body), descriptors


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that are no longer needed."""
    for descriptor in descriptors:
        posix.close(descriptor)


def _passed(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    descriptors: list[int] = []
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            starts = range(0, len(packed) - DESCRIPTOR_BYTES + 1, DESCRIPTOR_BYTES)
            descriptors += [int.from_bytes(packed[at : at + DESCRIPTOR_BYTES], "little") for at in starts]
    return descriptors
