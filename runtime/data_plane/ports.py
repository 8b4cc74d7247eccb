"""Requests for a server inside a sandbox: passed on over a connection that is dialled from inside."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
from starlette.types import Receive, Scope, Send

from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.data_plane.inside_requests import dial_streams, inside_headers
from runtime.host.sandbox import Sandbox
from runtime.network.headers import without_hops
from runtime.network.relay import Streams

IDLE_SECONDS = 600
"""Silence of the server inside."""
CLIENT_SECONDS = 120
"""Silence of a client that is to send its body or to take the answer."""


class NoAnswerError(Exception):
    """The server inside broke off, or spoke no HTTP, before it had begun to answer."""


class _Stream(httpcore.AsyncNetworkStream):
    """A dialled connection, as httpcore reads and writes it."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            return await self._streams.reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._streams.writer.write(buffer)
        async with asyncio.timeout(timeout):
            await self._streams.writer.drain()

    async def aclose(self) -> None:
        self._streams.writer.close()


class _Dialled(httpcore.AsyncNetworkBackend):
    """Instead of connecting, gives the connection that was dialled."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(self._streams)


class _Client:
    """The client's side: its body, whether it is still there, and its patience with us and ours with it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._body_read = asyncio.Event()
        self.answered = False
        """Whether the answer has begun."""

    async def body(self) -> AsyncIterator[bytes]:
        """What it sends, part by part."""
        while True:
            async with asyncio.timeout(CLIENT_SECONDS):
                event = await self._receive()
            if event["type"] == "http.disconnect":
                raise StreamAbortedError("the client went away")
            yield event.get("body", b"")
            if not event.get("more_body"):
                self._body_read.set()
                return

    async def gone(self, *, has_body: bool) -> None:
        """Until it has gone away; before its body is read that shows in the body."""
        if has_body:
            await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, response: httpcore.Response) -> None:
        """Pass the answer on as it comes."""
        await self._tell(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": without_hops([(name.lower(), value) for name, value in response.headers]),
            }
        )
        self.answered = True
        async for part in response.aiter_stream():
            await self._tell({"type": "http.response.body", "body": part, "more_body": True})
        await self._tell({"type": "http.response.body", "body": b""})

    async def _tell(self, event: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                await self._send(event)
        except TimeoutError:
            raise StreamAbortedError("the client takes nothing") from None


async def pass_on(sandbox: Sandbox, port: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request to a port inside.

    Raises `ConnectionRefusedError` where no server listens, `NoAnswerError` where it doesn't answer.
    """
    streams = await dial_streams(sandbox, port)
    client = _Client(receive, send)
    has_body = bool({b"content-length", b"transfer-encoding"} & {name for name, _ in scope["headers"]})
    request = _request(sandbox, port, scope, client.body() if has_body else None)
    exchange = asyncio.ensure_future(_exchange(streams, port, request, client))
    gone = asyncio.ensure_future(client.gone(has_body=has_body))
    try:
        # A server inside may send for ever; it must learn that nobody listens any more.
        await asyncio.wait((exchange, gone), return_when=asyncio.FIRST_COMPLETED)
        if not exchange.done():
            raise StreamAbortedError("the client went away")
        exchange.result()
    finally:
        for task in (exchange, gone):
            task.cancel()
        await asyncio.gather(exchange, gone, return_exceptions=True)


async def _exchange(streams: Streams, port: int, request: httpcore.Request, client: _Client) -> None:
    origin = httpcore.Origin(b"http", b"localhost", port)
    async with httpcore.AsyncHTTPConnection(origin=origin, network_backend=_Dialled(streams)) as connection:
        try:
            response = await connection.handle_async_request(request)
            try:
                await client.answer(response)
            finally:
                await response.aclose()
        except (httpcore.NetworkError, httpcore.ProtocolError, TimeoutError, OSError) as error:
            if not client.answered:
                raise NoAnswerError(f"the server at port {port} broke off: {error}") from error
            raise StreamAbortedError(f"the server at port {port} broke off: {error}") from error


def _request(
    sandbox: Sandbox, port: int, scope: Scope, body: AsyncIterator[bytes] | None
) -> httpcore.Request:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    target = path + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = without_hops(inside_headers(sandbox, port, scope["headers"]))
    if body is not None and b"content-length" not in {name for name, _ in headers}:
        headers.append((b"transfer-encoding", b"chunked"))
    return httpcore.Request(
        scope["method"],
        httpcore.URL(scheme=b"http", host=b"localhost", port=port, target=target),
        headers=headers,
        content=body,
        extensions={"timeout": {"read": IDLE_SECONDS, "write": IDLE_SECONDS}},
    )
