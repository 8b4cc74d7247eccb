"""The messages of `graphql-transport-ws`: reading what a client sends, each part checked.

https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import orjson

from web.graphql.requests import operation_of_parameters
from web.graphql.service import Operation
from web.refusals import RefusedRequestError

SUBPROTOCOL = "graphql-transport-ws"
MAXIMUM_ID_LENGTH = 128
MAXIMUM_REASON_BYTES = 123


class CloseCode(IntEnum):
    """Why we end a socket."""

    INTERNAL_ERROR = 1011
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429


class CloseSocketError(Exception):
    """The socket has to end, with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        # A close frame holds no more; cutting bytes must not leave half a character.
        self.reason = reason.encode()[:MAXIMUM_REASON_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class ConnectionInit:
    """The client's first word, with its credential where it isn't in a cookie."""

    payload: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The client answers, or just shows that it is there."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client starts an operation."""

    id: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Complete:
    """The client wants no more of an operation."""

    id: str


Message = ConnectionInit | Ping | Pong | Subscribe | Complete


def read_message(text: str) -> Message:
    """The message in a text frame (`CloseSocketError` with 4400 where there is none)."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _bad("The message is not valid JSON.") from None
    if not isinstance(message, dict):
        raise _bad("The message must be a JSON object.")
    kind = message.get("type")
    if kind == "connection_init":
        return ConnectionInit(_optional_payload(message))
    if kind == "ping":
        _optional_payload(message)
        return Ping()
    if kind == "pong":
        _optional_payload(message)
        return Pong()
    if kind == "subscribe":
        return Subscribe(_id(message), _operation(message))
    if kind == "complete":
        return Complete(_id(message))
    raise _bad("The message's `type` must be connection_init, subscribe, complete, ping or pong.")


def _id(message: dict[str, Any]) -> str:
    identifier = message.get("id")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAXIMUM_ID_LENGTH:
        raise _bad(f"`id` must be a string of 1 to {MAXIMUM_ID_LENGTH} characters.")
    return identifier


def _operation(message: dict[str, Any]) -> Operation:
    try:
        return operation_of_parameters(message.get("payload"))
    except RefusedRequestError as refusal:
        raise _bad(f"In `payload`: {refusal.message}") from None


def _optional_payload(message: dict[str, Any]) -> dict[str, Any]:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _bad("`payload` must be an object or null.")
    return payload or {}


def _bad(reason: str) -> CloseSocketError:
    return CloseSocketError(CloseCode.BAD_MESSAGE, reason)
