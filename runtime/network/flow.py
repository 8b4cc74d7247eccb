"""A sandbox's connection to the proxy, and what it leads to."""

import asyncio
from collections.abc import Callable

from runtime.network.addresses import Address

READ_AT_ONCE = 1 << 16


class Flow:
    """One connection from inside: what it may do is asked of `Egress`; how much it moved is counted here."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.name: str | None = None
        self.address: Address | None = None
        """What it leads to now, as it was found and checked; None while it leads nowhere."""
        self.moved_at = asyncio.get_running_loop().time()
        self.sent = 0
        self.received = 0
        self.outer: asyncio.StreamWriter | None = None

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        """Count what went through; silence begins anew."""
        self.sent += sent
        self.received += received
        self.moved_at = asyncio.get_running_loop().time()

    def abort(self) -> None:
        """Break it off on both sides."""
        for writer in (self.writer, self.outer):
            if writer is not None:
                writer.transport.abort()


async def relay(flow: Flow, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until both sides have ended, one has broken off, or the flow is aborted."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(flow.reader, writer, lambda size: flow.moved(sent=size)))
            group.create_task(_carry(reader, flow.writer, lambda size: flow.moved(received=size)))
    except* OSError:
        flow.abort()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    while part := await reader.read(READ_AT_ONCE):
        count(len(part))
        writer.write(part)
        await writer.drain()
    if not writer.transport.is_closing() and writer.can_write_eof():
        writer.write_eof()
