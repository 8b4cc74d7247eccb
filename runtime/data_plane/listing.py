"""Directories of any size: the agent streams their entries through a pipe, bounded in number and bytes."""

import asyncio
import os

from e2b.envd.filesystem.filesystem_pb import EntryInfo

from runtime.data_plane.entries import entry_of
from runtime.data_plane.file_agent_connection import LONG_SECONDS, FileAgentConnection
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.pipes import make_pipe, read_pipe

MAX_ENTRIES = 100_000
MAX_BYTES = 64 * 1024 * 1024
ENTRIES_PER_TURN = 500
_LENGTH_BYTES = 4


async def list_directory(agent: FileAgentConnection, path: bytes, depth: int) -> list[EntryInfo]:
    """The entries below a directory; raises FileOperationError, also where there are too many."""
    read_end, write_end = make_pipe()
    try:
        try:
            request = agent.send("list", path, b"%d" % depth, b"%d" % MAX_ENTRIES, pipe=write_end)
        finally:
            os.close(write_end)
        try:
            packed = await _read_all(read_end)
            await request.answer(LONG_SECONDS)
        finally:
            agent.forget(request)
    finally:
        os.close(read_end)
    return await _entries_in(packed)


async def _read_all(pipe: int) -> bytearray:
    packed = bytearray()
    async for chunk in read_pipe(pipe):
        packed += chunk
        if len(packed) > MAX_BYTES:
            message = "the list of entries is too long: list with a smaller depth, or a directory below it"
            raise FileOperationError("invalid_argument", message)
    return packed


async def _entries_in(packed: bytearray) -> list[EntryInfo]:
    entries: list[EntryInfo] = []
    position = 0
    while position < len(packed):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(packed[position:start], "big")
        if position > len(packed) or len(entries) == MAX_ENTRIES:
            raise FileOperationError("internal", "the sandbox's file agent sent a broken list")
        entries.append(entry_of(bytes(packed[start:position])))
        if len(entries) % ENTRIES_PER_TURN == 0:
            await asyncio.sleep(0)  # others have their turn while a long list is translated
    return entries
