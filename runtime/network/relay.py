"""Bytes carried both ways between two connections, each side as fast as the other takes it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

READ_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Streams:
    """Both directions of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        """Break it off."""
        self.writer.transport.abort()


async def relay(near: Streams, far: Streams, moved: Callable[[int, int], None]) -> None:
    """Carry until both sides have ended or one has broken off, then break off the other.

    `moved` is told of bytes to the far side and bytes from it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(near.reader, far.writer, lambda size: moved(size, 0)))
            group.create_task(_carry(far.reader, near.writer, lambda size: moved(0, size)))
    except* OSError:
        near.abort()
        far.abort()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    while part := await reader.read(READ_AT_ONCE):
        count(len(part))
        writer.write(part)
        await writer.drain()
    if not writer.transport.is_closing() and writer.can_write_eof():
        writer.write_eof()
