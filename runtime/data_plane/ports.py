"""Requests for a server inside a sandbox: passed on over a connection that is dialled from inside."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
from starlette.types import Receive, Scope, Send

from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.host.sandbox import Sandbox

READ_AT_ONCE = 1 << 16
IDLE_SECONDS = 600
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}


class _Stream(httpcore.AsyncNetworkStream):
    """A dialled connection, as httpcore reads and writes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._writer.write(buffer)
        async with asyncio.timeout(timeout):
            await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.close()


class _Dialled(httpcore.AsyncNetworkBackend):
    """Instead of connecting, gives the connection that was dialled."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(*await asyncio.open_connection(sock=self._connection))


async def pass_on(sandbox: Sandbox, port: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request to a port inside; `ConnectionRefusedError` where no server listens."""
    connection = await sandbox.dial(port)
    request = _request(port, scope, receive)
    async with httpcore.AsyncHTTPConnection(
        origin=httpcore.Origin(b"http", b"localhost", port), network_backend=_Dialled(connection)
    ) as client:
        try:
            response = await client.handle_async_request(request)
            try:
                await _relay(response, send)
            finally:
                await response.aclose()
        except (httpcore.NetworkError, httpcore.ProtocolError, TimeoutError, OSError) as error:
            raise StreamAbortedError(f"the server at port {port} broke off: {error}") from error


async def _relay(response: httpcore.Response, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in response.headers if name.lower() not in HOP_BY_HOP]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    async for part in response.aiter_stream():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _request(port: int, scope: Scope, receive: Receive) -> httpcore.Request:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    target = path + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    kept = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP]
    names = {name for name, _ in scope["headers"]}
    has_body = b"content-length" in names or b"transfer-encoding" in names
    if has_body and b"content-length" not in names:
        kept.append((b"transfer-encoding", b"chunked"))
    return httpcore.Request(
        scope["method"],
        httpcore.URL(scheme=b"http", host=b"localhost", port=port, target=target),
        headers=kept,
        content=_body(receive) if has_body else None,
        extensions={"timeout": {"read": IDLE_SECONDS, "write": IDLE_SECONDS}},
    )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise StreamAbortedError("the client went away")
        yield event.get("body", b"")
        if not event.get("more_body"):
            return
