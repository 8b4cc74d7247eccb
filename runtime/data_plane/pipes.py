"""Pipes to a file agent, read and written without blocking the event loop."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator

from runtime.data_plane.file_errors import FileOperationError

PIPE_BYTES = 262_144
STALLED_SECONDS = 60.0


def make_pipe() -> tuple[int, int]:
    """A pipe, read end first; FileOperationError where there is no descriptor left.

    The agent's end blocks; ours is made not to by its reader or writer.
    """
    try:
        read_end, write_end = os.pipe()
    except OSError as error:
        message = "the runtime has no free file descriptor; ask again later"
        raise FileOperationError("resource_exhausted", message) from error
    with contextlib.suppress(OSError):
        # Refused where the user has many pipes already: then it is only slower.
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return read_end, write_end


async def read_pipe(descriptor: int) -> AsyncIterator[bytes]:
    """Everything until the other end is closed, as it comes; raises FileOperationError where it stalls."""
    os.set_blocking(descriptor, False)
    while True:
        try:
            chunk = os.read(descriptor, PIPE_BYTES)
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if not chunk:
            return
        yield chunk


async def write_pipe(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it; BrokenPipeError where the agent takes no more, FileOperationError where it stalls."""
    os.set_blocking(descriptor, False)
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _writable(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _set, ready)
    try:
        await _within_bounds(ready)
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _set, ready)
    try:
        await _within_bounds(ready)
    finally:
        loop.remove_writer(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _within_bounds(ready: asyncio.Future[None]) -> None:
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await ready
    except TimeoutError:
        message = f"the sandbox moved no byte of the file for {STALLED_SECONDS:g} s"
        raise FileOperationError("deadline_exceeded", message) from None
