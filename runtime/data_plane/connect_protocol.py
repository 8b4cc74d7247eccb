"""The Connect protocol (connectrpc.com) on bare ASGI: messages, envelopes, errors.

Written here rather than taken from connectrpc's server: docs/adr says why, with figures.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Protocol, TypeVar

import orjson
from starlette.types import Receive, Scope, Send

MESSAGE_LIMIT = 16 << 20
REQUEST_SECONDS = 60
UNREAD_SECONDS = 60
END_OF_STREAM = 0x02
COMPRESSED = 0x01

Code = Literal[
    "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
    "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range",
    "unimplemented", "internal", "unavailable", "unauthenticated",
]  # fmt: skip
STATUS_BY_CODE: dict[Code, int] = {
    "canceled": 499,
    "unknown": HTTPStatus.INTERNAL_SERVER_ERROR,
    "invalid_argument": HTTPStatus.BAD_REQUEST,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
    "not_found": HTTPStatus.NOT_FOUND,
    "already_exists": HTTPStatus.CONFLICT,
    "permission_denied": HTTPStatus.FORBIDDEN,
    "resource_exhausted": HTTPStatus.TOO_MANY_REQUESTS,
    "failed_precondition": HTTPStatus.BAD_REQUEST,
    "aborted": HTTPStatus.CONFLICT,
    "out_of_range": HTTPStatus.BAD_REQUEST,
    "unimplemented": HTTPStatus.NOT_IMPLEMENTED,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
}


class ConnectError(Exception):
    """An error as Connect's clients know it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message

    def body(self) -> dict[str, str]:
        """As JSON."""
        return {"code": self.code, "message": self.message}


class StreamAbortedError(Exception):
    """The connection must break off: to end the response cleanly would tell of an end that nobody saw."""


class Message(Protocol):
    """A protobuf message, as far as it is needed here."""

    def to_json(self) -> str: ...  # noqa: D102
    def to_binary(self) -> bytes: ...  # noqa: D102
    @classmethod
    def from_json(cls: type["M"], data: bytes, /, *, ignore_unknown_fields: bool = ...) -> "M": ...  # noqa: D102
    @classmethod
    def from_binary(cls: type["M"], data: bytes, /) -> "M": ...  # noqa: D102


M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Call:
    """One request: how its messages are written, and the connection that it came on."""

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    content_type: bytes

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> "Call":
        """A call, of a content type that is known here."""
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").split(b";")[0].strip()
        return cls(scope, receive, send, headers, content_type)

    @property
    def is_json(self) -> bool:
        """Whether messages are JSON; else they are binary."""
        return self.content_type.endswith(b"json")

    @property
    def timeout(self) -> float | None:
        """The client's `Connect-Timeout-Ms`, in seconds."""
        milliseconds = self.headers.get(b"connect-timeout-ms", b"")
        return int(milliseconds) / 1000 if milliseconds.isdigit() and len(milliseconds) <= 15 else None

    def decode(self, kind: type[M], data: bytes) -> M:
        """A message that was sent to us."""
        try:
            return (
                kind.from_json(data, ignore_unknown_fields=True) if self.is_json else kind.from_binary(data)
            )
        except Exception as error:
            raise ConnectError("invalid_argument", f"the message can't be read: {error}") from error

    def encode(self, message: Message) -> bytes:
        """A message to be sent."""
        return message.to_json().encode() if self.is_json else message.to_binary()

    async def read_unary(self, kind: type[M]) -> M:
        """The one message of a unary call."""
        parts = []
        size = 0
        async with _in_time():
            async for part in self._body():
                parts.append(part)
                size += len(part)
                if size > MESSAGE_LIMIT:
                    raise ConnectError(
                        "resource_exhausted", f"the message is larger than {MESSAGE_LIMIT} bytes"
                    )
        encoding = self.headers.get(b"content-encoding", b"identity")
        return self.decode(kind, _decompressed(b"".join(parts), encoding))

    async def read_stream(self, kind: type[M]) -> AsyncIterator[M]:
        """The messages of a client's stream."""
        buffer = bytearray()
        async for part in self._body():
            buffer += part
            while len(buffer) >= 5:
                flags, length = buffer[0], int.from_bytes(buffer[1:5], "big")
                if length > MESSAGE_LIMIT:
                    raise ConnectError(
                        "resource_exhausted", f"the message is larger than {MESSAGE_LIMIT} bytes"
                    )
                if len(buffer) < 5 + length:
                    break
                message = bytes(buffer[5 : 5 + length])
                del buffer[: 5 + length]
                if flags & COMPRESSED:
                    encoding = self.headers.get(b"connect-content-encoding", b"identity")
                    message = _decompressed(message, encoding)
                if not flags & END_OF_STREAM:
                    yield self.decode(kind, message)

    async def read_first(self, kind: type[M]) -> M:
        """The one message of a call that is answered by a stream."""
        async with _in_time():
            async for message in self.read_stream(kind):
                return message
        raise ConnectError("invalid_argument", "the request holds no message")

    async def answer(self, message: Message) -> None:
        """Send the one answer of a unary call."""
        await self._respond(HTTPStatus.OK, self.content_type, self.encode(message))

    async def answer_encoded(self, message: bytes) -> None:
        """Send the one answer of a unary call, already written as the caller reads it."""
        await self._respond(HTTPStatus.OK, self.content_type, message)

    async def refuse(self, error: ConnectError) -> None:
        """Send the error of a unary call."""
        await self._respond(STATUS_BY_CODE[error.code], b"application/json", orjson.dumps(error.body()))

    async def begin_stream(self) -> None:
        """Send the head of a stream: from here on an error travels in its last envelope."""
        headers = [(b"content-type", self.content_type)]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send_part(self, envelope_bytes: bytes) -> None:
        """Send envelopes; waits while the client doesn't read."""
        await self.send({"type": "http.response.body", "body": envelope_bytes, "more_body": True})

    async def send_message(self, message: Message) -> None:
        """Send a message in its envelope."""
        await self.send_part(envelope(self.encode(message)))

    async def end_stream(self, error: ConnectError | None = None) -> None:
        """Send the last envelope."""
        body = orjson.dumps({"error": error.body()}) if error else b"{}"
        await self.send({"type": "http.response.body", "body": envelope(body, END_OF_STREAM)})

    async def _respond(self, status: int, content_type: bytes, body: bytes) -> None:
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self.send({"type": "http.response.start", "status": status, "headers": headers})
                await self.send({"type": "http.response.body", "body": body})
        except TimeoutError as error:
            raise StreamAbortedError("the client doesn't read its answer") from error

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ConnectError("canceled", "the client went away")
            yield event.get("body", b"")
            if not event.get("more_body"):
                return


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            yield
    except TimeoutError as error:
        message = f"the request did not arrive within {REQUEST_SECONDS} s"
        raise ConnectError("deadline_exceeded", message) from error


def _decompressed(data: bytes, encoding: bytes) -> bytes:
    if encoding == b"identity":
        return data
    if encoding != b"gzip":
        name = encoding.decode("latin-1")
        raise ConnectError("unimplemented", f"unknown compression '{name}': supported is gzip")
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        message = unzip.decompress(data, MESSAGE_LIMIT)
    except zlib.error as error:
        raise ConnectError("invalid_argument", "the message is not gzip") from error
    if unzip.unconsumed_tail:
        raise ConnectError("resource_exhausted", f"the message is larger than {MESSAGE_LIMIT} bytes")
    return message


def envelope(message: bytes, flags: int = 0) -> bytes:
    """A message in a stream."""
    return enveloped((message,), flags)


def enveloped(pieces: Sequence[bytes | memoryview], flags: int = 0) -> bytes:
    """A message in a stream, from its pieces, which are copied once."""
    # Formatting with `%b` takes thirty times as long for a large piece.
    return b"".join((bytes((flags,)), sum(map(len, pieces)).to_bytes(4, "big"), *pieces))
