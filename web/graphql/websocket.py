"""GraphQL over WebSocket: the subprotocol `graphql-transport-ws`, as strict as its specification."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import orjson
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope
from starlette.websockets import WebSocket, WebSocketDisconnect

from commandcenter.access.scope import Scope
from web.authentication import (
    Credential,
    authenticate,
    caller_address,
    credential_of_payload,
    credential_of_request,
)
from web.graphql.errors import Payload, RequestErrorCode, error_payload, internal_error
from web.graphql.messages import (
    SUBPROTOCOL,
    CloseCode,
    CloseSocketError,
    Complete,
    ConnectionInit,
    Message,
    Ping,
    Subscribe,
    read_message,
)
from web.graphql.service import GraphQLService, RefusedOperation
from web.origin import comes_from_foreign_page, comes_from_own_page

STOP_SECONDS = 5.0
KEY_IS_NEEDED = 'Forbidden: connection_init needs {"Authorization": "Bearer cc_…"} with a valid key.'
KEY_IS_OVER = "Forbidden: the key was revoked or has expired."


async def serve_socket(service: GraphQLService, scope: ASGIScope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket to `/graphql` until either side ends it."""
    websocket = WebSocket(scope, receive, send)
    if comes_from_foreign_page(websocket):
        # Closed before it is accepted, which answers the handshake with 403.
        await websocket.close()
        return
    if SUBPROTOCOL not in scope["subprotocols"]:
        await websocket.accept()
        reason = f"Offer the WebSocket subprotocol {SUBPROTOCOL}."
        await websocket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, reason)
        return
    await websocket.accept(subprotocol=SUBPROTOCOL)
    await _Connection(service, websocket).run()


@dataclass(slots=True)
class _Connection:
    """One accepted socket: its state by the protocol, and a task for each operation that runs on it."""

    service: GraphQLService
    websocket: WebSocket
    credential: Credential | None = None
    operations: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        closing: CloseSocketError | None = None
        try:
            await self._serve()
        except CloseSocketError as error:
            closing = error
        except WebSocketDisconnect:
            pass
        except Exception as error:
            closing = CloseSocketError(CloseCode.INTERNAL_ERROR, internal_error(error)["message"])
        finally:
            await self._end_operations()
        if closing is not None:
            with suppress(WebSocketDisconnect):
                await self.websocket.close(closing.code, closing.reason)

    async def _serve(self) -> None:
        await self._initialise()
        credential = self.credential
        if credential is None:
            return
        # A time limit without a time: when the credential is revoked, it is set to now.
        async with _limit(None, CloseCode.FORBIDDEN, KEY_IS_OVER) as validity:
            now = asyncio.get_running_loop().time
            with self.service.live_credentials.watch(credential, lambda: validity.reschedule(now())):
                while True:
                    await self._handle(await self._receive())

    async def _initialise(self) -> None:
        seconds = self.service.connection_init_timeout.total_seconds()
        async with _limit(seconds, CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout"):
            while True:
                message = await self._receive()
                if isinstance(message, ConnectionInit):
                    break
                if isinstance(message, Subscribe):
                    raise CloseSocketError(
                        CloseCode.UNAUTHORIZED, "Unauthorized: connection_init comes first."
                    )
                await self._handle(message)
            self.credential = credential_of_payload(message.payload) or credential_of_request(self.websocket)
            if not self._may_use(self.credential) or await self._authenticate() is None:
                raise CloseSocketError(CloseCode.FORBIDDEN, KEY_IS_NEEDED)
        await self._send({"type": "connection_ack"})

    async def _handle(self, message: Message) -> None:
        match message:
            case Ping():
                await self._send({"type": "pong"})
            case Complete():
                self._stop(message.id)
            case Subscribe():
                if refusal := self._start(message):
                    await self._send_end(message.id, [refusal])
            case ConnectionInit():
                raise CloseSocketError(
                    CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests"
                )

    def _start(self, message: Subscribe) -> Payload | None:
        if message.id in self.operations:
            raise CloseSocketError(
                CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {message.id} already exists"
            )
        limit = self.service.operations_per_connection
        if len(self.tasks) >= limit:
            return error_payload(
                RequestErrorCode.RATE_LIMITED,
                f"At most {limit} operations run on one socket. Complete some, or open another socket.",
            )
        task = asyncio.create_task(self._run(message))
        self.operations[message.id] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return None

    def _stop(self, identifier: str) -> None:
        task = self.operations.pop(identifier, None)
        if task is not None:
            task.cancel()

    async def _run(self, message: Subscribe) -> None:
        try:
            errors = await self._send_results(message)
        except WebSocketDisconnect:
            return
        except Exception as error:
            errors = [internal_error(error)]
        if self.operations.get(message.id) is not asyncio.current_task():
            return
        # Forgotten before the last message is sent: the client may use the id again as soon as it has it.
        del self.operations[message.id]
        with suppress(WebSocketDisconnect):
            await self._send_end(message.id, errors)

    async def _send_results(self, message: Subscribe) -> list[Payload]:
        scope = await self._authenticate()
        if scope is None:
            return [error_payload(RequestErrorCode.UNAUTHENTICATED, KEY_IS_OVER)]
        async with aclosing(self.service.stream(message.operation, self.service.bill(scope))) as results:
            async for result in results:
                if isinstance(result, RefusedOperation):
                    return _errors_with_extensions(result)
                await self._send({"id": message.id, "type": "next", "payload": result})
        return []

    async def _send_end(self, identifier: str, errors: list[Payload]) -> None:
        if errors:
            await self._send({"id": identifier, "type": "error", "payload": errors})
        else:
            await self._send({"id": identifier, "type": "complete"})

    async def _end_operations(self) -> None:
        self.operations.clear()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def _may_use(self, credential: Credential | None) -> bool:
        if credential is None:
            return False
        return not credential.is_session or comes_from_own_page(self.websocket)

    async def _authenticate(self) -> Scope | None:
        if self.credential is None:
            return None
        return await authenticate(self.service.database, self.credential, caller_address(self.websocket))

    async def _receive(self) -> Message:
        frame = await self.websocket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code") or 1005)
        text = frame.get("text")
        if text is None:
            raise CloseSocketError(CloseCode.BAD_MESSAGE, "Messages must be text, not binary.")
        return read_message(text)

    async def _send(self, message: dict[str, object]) -> None:
        await self.websocket.send({"type": "websocket.send", "text": orjson.dumps(message).decode()})


def _errors_with_extensions(refused: RefusedOperation) -> list[Payload]:
    """The errors; the protocol has no other place beside them for what the operation cost."""
    return [
        {**error, "extensions": {**error.get("extensions", {}), **refused.extensions}}
        for error in refused.errors
    ]


@asynccontextmanager
async def _limit(seconds: float | None, code: CloseCode, reason: str) -> AsyncIterator[asyncio.Timeout]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise
        raise CloseSocketError(code, reason) from None
