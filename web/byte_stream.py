"""Answers of bytes that are sent as they are read, for downloads of any size."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from starlette.types import Receive, Scope, Send

from commandcenter.errors import DomainError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ByteStream:
    """The ASGI answer that sends what a source gives, and stops reading it when the client goes.

    A source that fails half-way breaks the connection, so that nobody takes a part for the whole.
    """

    source: AsyncGenerator[bytes, None]
    headers: Mapping[str, str]
    status: int = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole source."""
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_client_gone(receive))
        try:
            await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.wait([sending, gone])
        if not sending.cancelled() and (error := sending.exception()) is not None:
            _log_failure(error, scope)

    async def _send_all(self, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        async with aclosing(self.source) as pieces:
            # Begun before anything is sent: what is never begun can't be closed.
            piece = await anext(pieces, None)
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            while piece is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await anext(pieces, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _log_failure(error: BaseException, scope: Scope) -> None:
    # The whole path of a signed link opens what it names; the first part says which endpoint it is.
    endpoint = scope["path"].split("/")[1]
    if isinstance(error, DomainError):
        _log.warning("stream.broken", endpoint=endpoint, error=error.message)
    else:
        _log.error("stream.failed", endpoint=endpoint, exc_info=error)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
