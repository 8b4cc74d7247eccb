"""uvicorn's HTTP/1.1 with bounds: on connections, and on the size and the time of a request's head."""

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What is refused here gets the same JSON as everywhere else, and the connection ends."""

    connection_limit = 10_000
    head_seconds = 20
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.connection_limit:
            message = f"the runtime serves at most {self.connection_limit} connections at once; close some"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, message)
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._clear_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to heads, and hand everything to the parser."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEAD_BYTES:
            message = f"a request's headers have at most {HEAD_BYTES} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def on_message_begin(self) -> None:
        """Another request on a connection that was idle until now."""
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """From here on, whoever serves the request sees to it that time is bounded."""
        self._clear_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP at all."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_overdue)

    def _head_overdue(self) -> None:
        message = f"a request's headers must arrive within {self.head_seconds} s"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)

    def _clear_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._clear_timer()
        if self.transport.is_closing():
            return
        # While another response is on its way, nothing can be said.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_response(status, {"code": int(status), "message": message}))
        self.transport.close()


def bounded_protocol(*, connection_limit: int, head_seconds: int) -> type[BoundedProtocol]:
    """The protocol with bounds of its own."""
    bounds = {"connection_limit": connection_limit, "head_seconds": head_seconds}
    return type("BoundedProtocol", (BoundedProtocol,), bounds)


def _response(status: HTTPStatus, body: dict[str, Any]) -> bytes:
    content = orjson.dumps(body)
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + content
