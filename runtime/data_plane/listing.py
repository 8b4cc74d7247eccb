"""Directories of any size: entries come through a pipe and are put into the answer's words one by one.

So the longest list takes tens of megabytes, not hundreds, and others have their turn while it is made.
"""

import asyncio
import os
from collections.abc import AsyncIterator

from runtime.data_plane.connect_protocol import Call
from runtime.data_plane.entries import entry_of
from runtime.data_plane.file_agent_connection import LONG_SECONDS, FileAgentConnection
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.pipes import make_pipe, read_pipe
from runtime.inside.framing import MAX_MESSAGE_BYTES

MAX_ENTRIES = 100_000
MAX_BYTES = 48 * 1024 * 1024
ENTRIES_PER_TURN = 500
_LENGTH_BYTES = 4
_ENTRIES_FIELD = b"\x0a"  # field 1 of ListDirResponse, of varying length


async def list_directory(agent: FileAgentConnection, call: Call, path: bytes, depth: int) -> bytes:
    """A whole `ListDirResponse` as the caller reads it; FileOperationError where it is too long."""
    encoded: list[bytes] = []
    size = 0
    async for packed in _entries(agent, path, depth):
        entry = call.encode(entry_of(packed))
        encoded.append(entry if call.is_json else _ENTRIES_FIELD + _varint(len(entry)) + entry)
        size += len(entry)
        if len(encoded) > MAX_ENTRIES or size > MAX_BYTES:
            message = "the list of entries is too long: list with a smaller depth, or a directory below it"
            raise FileOperationError("invalid_argument", message)
        if len(encoded) % ENTRIES_PER_TURN == 0:
            await asyncio.sleep(0)
    return b'{"entries":[' + b",".join(encoded) + b"]}" if call.is_json else b"".join(encoded)


async def _entries(agent: FileAgentConnection, path: bytes, depth: int) -> AsyncIterator[bytes]:
    read_end, write_end = make_pipe()
    try:
        try:
            request = agent.send("list", path, b"%d" % depth, b"%d" % MAX_ENTRIES, pipe=write_end)
        finally:
            os.close(write_end)
        try:
            async for packed in _rows(read_pipe(read_end)):
                yield packed
            await request.answer(LONG_SECONDS)
        finally:
            agent.forget(request)
    finally:
        os.close(read_end)


async def _rows(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The packed entries in what comes through the pipe, each with its length before it."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        position = 0
        while len(buffer) - position >= _LENGTH_BYTES:
            start = position + _LENGTH_BYTES
            end = start + int.from_bytes(buffer[position:start], "big")
            if end - start > MAX_MESSAGE_BYTES:
                raise FileOperationError("internal", "the sandbox's file agent sent a broken list")
            if end > len(buffer):
                break
            yield bytes(buffer[start:end])
            position = end
        del buffer[:position]
    if buffer:
        raise FileOperationError("internal", "the sandbox's file agent sent a broken list")


def _varint(number: int) -> bytes:
    """A number as protobuf writes lengths."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
