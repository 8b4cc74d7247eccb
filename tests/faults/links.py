"""A TCP address that leads to another one, and that can be cut, held up or half closed at any moment."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
_PIECE_BYTES = 1 << 16
_CONNECT_SECONDS = 5
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Target = tuple[str, int] | Path
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """Connections through one address; `target` is asked anew for each, as its owner may have moved.

    `delay_seconds` holds each piece up on its way, in both directions.
    """

    def __init__(self, target: Callable[[], Target]) -> None:
        self._target = target
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._accepts = True
        self._server: asyncio.Server | None = None
        self.delay_seconds = 0.0

    @property
    def port(self) -> int:
        """The port on this machine; only after `start`."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The address for whoever speaks HTTP."""
        return f"http://{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._connections)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection that there is."""
        for task, connection in self._connections.items():
            connection.reset()
            task.cancel()

    def half_close(self) -> None:
        """Tell the far side that no more comes, while what it says still passes."""
        for connection in self._connections.values():
            connection.end_requests()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Reset what there is, and whatever comes, for the length of the block."""
        self._accepts = False
        self.cut()
        try:
            yield
        finally:
            self._accepts = True

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let nothing pass, and close nothing, for the length of the block."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def heal(self) -> None:
        """Let everything pass again."""
        self._accepts, self.delay_seconds = True, 0.0
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection((reader, writer))
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection
        try:
            if self._accepts:
                await self._carry(connection)
        except (OSError, TimeoutError):
            pass
        except asyncio.CancelledError:
            # Only `cut` cancels; asyncio's server would report it as an error of ours.
            pass
        finally:
            del self._connections[task]
            connection.reset()

    async def _carry(self, connection: "_Connection") -> None:
        await self._flowing.wait()
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection.far = await _connect(self._target())
        answers = asyncio.create_task(self._copy(connection.far[0], connection.near[1]))
        requests = asyncio.create_task(self._copy(connection.near[0], connection.far[1]))
        connection.requests = requests
        try:
            await asyncio.wait([answers, requests], return_when=asyncio.FIRST_COMPLETED)
            if requests.done() and not requests.cancelled():
                # A client's orderly end was passed on, and leaves its answers to come; a break does not.
                requests.result()
            await answers
            await connection.close()
        finally:
            for task in (answers, requests):
                task.cancel()
            await asyncio.gather(answers, requests, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE_BYTES):
            await self._flowing.wait()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


@dataclass
class _Connection:
    near: Streams
    far: Streams | None = None
    requests: asyncio.Task[None] | None = None

    def end_requests(self) -> None:
        if self.requests is not None and self.far is not None:
            self.requests.cancel()
            with contextlib.suppress(OSError):
                self.far[1].write_eof()

    async def close(self) -> None:
        """Close both sides, once what was written has arrived."""
        for _, writer in filter(None, (self.near, self.far)):
            writer.close()
            await writer.wait_closed()

    def reset(self) -> None:
        for _, writer in filter(None, (self.near, self.far)):
            reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off, so that the other side sees an error and no orderly end."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() != -1 and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def _connect(target: Target) -> Streams:
    if isinstance(target, Path):
        return await asyncio.open_unix_connection(target)
    return await asyncio.open_connection(*target)


@asynccontextmanager
async def linked(target: Callable[[], Target]) -> AsyncIterator[Link]:
    """A link for the length of the block."""
    link = Link(target)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()
