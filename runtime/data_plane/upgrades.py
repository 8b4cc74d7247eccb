"""WebSockets to servers inside: after the handshake the bytes are carried as they are, both ways.

uvicorn hands a connection over when its client asks for a WebSocket. We are no party to what is then spoken,
so every extension and subprotocol works, and a message of any size takes no memory here.
"""

import asyncio
from typing import Any

import orjson
import structlog
import uvicorn
from uvicorn.server import ServerState

from runtime.data_plane.inside_requests import dial_streams, inside_headers
from runtime.data_plane.routing import Admitted, DataPlane, Refusal, not_open
from runtime.network.headers import Headers, without_hops
from runtime.network.relay import Streams, relay

log = structlog.get_logger("runtime.upgrades")

HEAD_LIMIT = 1 << 16
HEAD_END = b"\r\n\r\n"
ANSWER_SECONDS = 60
IDLE_SECONDS = 3600
SWITCHING = 101


class UpgradedConnection(asyncio.StreamReaderProtocol):
    """What uvicorn makes for a connection that asks for a WebSocket; the head of its request comes first."""

    def __init__(self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(asyncio.StreamReader(limit=HEAD_LIMIT), self._connected)
        self._data_plane: DataPlane = config.app.data_plane  # type: ignore[union-attr]  # it is our Application
        self._server_state = server_state
        self._client: Streams | None = None

    def shutdown(self) -> None:
        """The server stops."""
        if self._client is not None:
            self._client.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = Streams(reader, writer)
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        try:
            await _serve(self._data_plane, self._client)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            log.debug("upgrade_broken_off", error=str(error))
            self._client.abort()
        finally:
            self._server_state.connections.discard(self)
            writer.close()


async def _serve(data_plane: DataPlane, client: Streams) -> None:
    request_line, headers = await _read_head(client.reader)
    admitted = await data_plane.admit({"type": "websocket", "headers": headers})
    if isinstance(admitted, Admitted):
        try:
            inside = await dial_streams(admitted.sandbox, admitted.port)
        except ConnectionRefusedError:
            admitted = not_open(admitted)
    if isinstance(admitted, Refusal):
        await _refuse(client, admitted)
        return
    try:
        passed = inside_headers(admitted.sandbox, admitted.port, headers)
        inside.writer.write(_head(request_line, passed))
        await _answer(client, inside)
    finally:
        inside.writer.close()


async def _answer(client: Streams, inside: Streams) -> None:
    """Pass the server's answer on, and everything after it where it agreed to the other protocol."""
    async with asyncio.timeout(ANSWER_SECONDS):
        status_line, headers = await _read_head(inside.reader)
    if status_line.split(b" ")[1:2] == [b"%d" % SWITCHING]:
        client.writer.write(_head(status_line, headers))
        await _relay_until_silent(client, inside)
        return
    # The connection ends with this answer: what its client sends next may be for another sandbox.
    client.writer.write(_head(status_line, [*_framed(headers), (b"connection", b"close")]))
    while part := await inside.reader.read(HEAD_LIMIT):
        client.writer.write(part)
        await client.writer.drain()


async def _relay_until_silent(client: Streams, inside: Streams) -> None:
    loop = asyncio.get_running_loop()
    last = loop.time()

    def moved(_sent: int, _received: int) -> None:
        nonlocal last
        last = loop.time()

    carrying = asyncio.ensure_future(relay(client, inside, moved))
    try:
        while not carrying.done() and loop.time() - last < IDLE_SECONDS:
            await asyncio.wait((carrying,), timeout=IDLE_SECONDS - (loop.time() - last))
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)


async def _read_head(reader: asyncio.StreamReader) -> tuple[bytes, Headers]:
    """The first line, and the headers with their names in lower case."""
    first, *lines = (await reader.readuntil(HEAD_END)).removesuffix(HEAD_END).split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return first, [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _framed(headers: Headers) -> Headers:
    """Headers of an answer whose body is passed on as it is, chunks and all."""
    encoding = [pair for pair in headers if pair[0] == b"transfer-encoding"]
    return [*without_hops(headers), *encoding]


def _head(first: bytes, headers: Headers) -> bytes:
    return b"\r\n".join([first, *(name + b": " + value for name, value in headers), b"", b""])


async def _refuse(client: Streams, refusal: Refusal) -> None:
    body = orjson.dumps(refusal.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    client.writer.write(_head(b"HTTP/1.1 %d Refused" % refusal.status, headers) + body)
    await client.writer.drain()
