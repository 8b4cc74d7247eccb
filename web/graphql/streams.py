"""Results as a stream in one HTTP response: server-sent events, or multipart as Apollo's clients read it."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

import orjson
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope
from strawberry.http import GraphQLHTTPResponse
from strawberry.http.streaming import HTTPStreamTransport, MultipartSubscriptionTransport, SSETransport

from web.authentication import Credential
from web.graphql.bills import Bill
from web.graphql.departures import client_gone
from web.graphql.errors import Payload, RequestErrorCode, error_payload
from web.graphql.service import GraphQLService, Operation, RefusedOperation
from web.rates import note_verdict

# Caches and proxies must neither keep, compress nor gather what is sent.
STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
_TRANSPORTS: tuple[HTTPStreamTransport, ...] = (SSETransport(), MultipartSubscriptionTransport())


def stream_transport(accept: str | None) -> HTTPStreamTransport | None:
    """The way of streaming that an `Accept` header asks for, or None where it asks for a plain answer."""
    return next((transport for transport in _TRANSPORTS if accept and transport.accepts(accept)), None)


@dataclass(slots=True)
class ResultStream:
    """The ASGI answer that sends each result of an operation as it comes.

    It ends with the operation, when the client goes, or when the credential is no longer valid. The source
    is run by one task from beginning to end, as generators with time limits inside need it.
    """

    service: GraphQLService
    operation: Operation
    bill: Bill
    credential: Credential
    transport: HTTPStreamTransport
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    began: bool = False

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Send the whole stream."""
        revoked = asyncio.Event()
        results = asyncio.create_task(self._send_results(scope, send))
        tasks = [
            results,
            asyncio.create_task(revoked.wait()),
            asyncio.create_task(client_gone(receive)),
            asyncio.create_task(self._send_heartbeats(scope, send)),
        ]
        try:
            with self.service.live_credentials.watch(self.credential, revoked.set):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if revoked.is_set() and results.cancelled():
            await self._send(scope, send, self._encode(RefusedOperation([_revoked_error()])))
        await self._send(scope, send, self.transport.encode_complete(), is_last=True)

    async def _send_results(self, scope: ASGIScope, send: Send) -> None:
        async with aclosing(self.service.stream(self.operation, self.bill)) as results:
            async for result in results:
                await self._send(scope, send, self._encode(result))

    async def _send_heartbeats(self, scope: ASGIScope, send: Send) -> None:
        await self.bill.settled.wait()
        async with self.turn:
            await self._begin(scope, send)
        if not self.transport.send_initial_heartbeat:
            await asyncio.sleep(self.transport.heartbeat_interval)
        while True:
            await self._send(scope, send, self.transport.heartbeat_message(_encode))
            await asyncio.sleep(self.transport.heartbeat_interval)

    async def _begin(self, scope: ASGIScope, send: Send) -> None:
        """Send the answer's headers, once: not before it is known whether the caller has enough left."""
        if self.began:
            return
        self.began = True
        if self.bill.verdict is not None:
            note_verdict(scope, self.bill.verdict)
        headers = {**STREAM_HEADERS, **self.transport.headers}
        await send(
            {
                "type": "http.response.start",
                "status": 429 if self.bill.refusal else 200,
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            }
        )

    async def _send(self, scope: ASGIScope, send: Send, text: str, *, is_last: bool = False) -> None:
        async with self.turn:
            await self._begin(scope, send)
            await send({"type": "http.response.body", "body": text.encode(), "more_body": not is_last})

    def _encode(self, result: Payload | RefusedOperation) -> str:
        payload = result.payload if isinstance(result, RefusedOperation) else result
        return self.transport.encode_next(cast("GraphQLHTTPResponse", payload), _encode)


def _revoked_error() -> Payload:
    return error_payload(
        RequestErrorCode.UNAUTHENTICATED, "The key was revoked or has expired; the stream ends here."
    )


def _encode(value: object) -> str:
    return orjson.dumps(value).decode()
