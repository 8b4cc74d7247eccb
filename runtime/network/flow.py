"""A sandbox's connection to the proxy, and what it leads to."""

import asyncio
import socket
from contextlib import suppress

from runtime.network.addresses import Address, parse_address
from runtime.network.relay import Streams

ORIGINAL_DESTINATION = 80
"""SO_ORIGINAL_DST of linux/netfilter_ipv4.h."""
ADDRESS_BYTES = 16


class Flow:
    """One connection from inside: `SandboxEgress` says what it may; what it moved is counted here."""

    def __init__(self, inner: Streams, wanted: tuple[Address, int] | None = None) -> None:
        self.inner = inner
        self.wanted = wanted
        """Where it went before it was turned to us, where it was."""
        self.outer: Streams | None = None
        self.name: str | None = None
        self.address: Address | None = None
        """What it leads to now, as it was found and checked; None while it leads nowhere."""
        self.sent = 0
        self.received = 0
        self.moved_at = asyncio.get_running_loop().time()

    def moved(self, sent: int, received: int) -> None:
        """Count what went through; silence begins anew."""
        self.sent += sent
        self.received += received
        self.moved_at = asyncio.get_running_loop().time()

    def abort(self) -> None:
        """Break it off on both sides."""
        for streams in (self.inner, self.outer):
            if streams is not None:
                streams.abort()


def original_destination(connection: socket.socket) -> tuple[Address, int] | None:
    """Where a connection wanted to go before it was turned to us; None where it came to us by itself."""
    with suppress(OSError):
        raw = connection.getsockopt(socket.SOL_IP, ORIGINAL_DESTINATION, ADDRESS_BYTES)
        address = parse_address(socket.inet_ntoa(raw[4:8]))
        if address is not None:
            return address, int.from_bytes(raw[2:4], "big")
    return None
