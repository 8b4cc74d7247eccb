"""A sandbox's connection to the proxy, and what it leads to."""

import asyncio

from runtime.network.addresses import Address
from runtime.network.relay import Streams


class Flow:
    """One connection from inside: `SandboxEgress` says what it may; what it moved is counted here."""

    def __init__(self, inner: Streams) -> None:
        self.inner = inner
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
