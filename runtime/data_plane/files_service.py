"""`/files` and `/files/compose`: who may, which of the operations, and how a refusal is said."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.data_plane.downloads import RangeError, TruncatedDownloadError, download
from runtime.data_plane.entries import text_of
from runtime.data_plane.file_agent_connection import LONG_SECONDS, FileAgentConnection, path_bytes
from runtime.data_plane.file_agents import FileAgents
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.routing import (
    RECORD_KEY,
    answer_json,
    not_found,
    reached,
    sandbox_of,
    token_matches,
)
from runtime.data_plane.signatures import Operation, SignedRequest
from runtime.data_plane.uploads import drain, upload
from runtime.host.accounts import Account, UnknownUserError
from runtime.host.errors import SandboxGoneError
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.sandbox_host import SandboxHost

PREFIX = "/files"
COMPOSE = "/files/compose"
MAX_COMPOSE_BYTES = 49_152
MAX_COMPOSED = 1_000
OUT_OF_DISK = "not enough disk space available: the sandbox has as much as it may; remove files first"


class FilesService:
    """The service as an ASGI application; checks signatures itself where a request bears no token."""

    def __init__(self, host: SandboxHost, agents: FileAgents) -> None:
        self._host = host
        self._agents = agents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            await self._serve(request, send)
        except ClientDisconnect:
            return
        except FileOperationError as error:
            if request.method == "POST":
                await drain(request)
            await _refusal(error)(scope, receive, send)
        except (SandboxGoneError, TruncatedDownloadError, TimeoutError) as error:
            raise StreamAbortedError(str(error)) from error

    async def _serve(self, request: Request, send: Send) -> None:
        path, method = request.url.path, request.method
        if (method, path) == ("POST", COMPOSE):
            response = await self._compose(request)
            await response(request.scope, request.receive, send)
            return
        respond = RESPONSES.get((method, path))
        if respond is None:
            raise FileOperationError("not_allowed", f"{method} is not allowed at {path}")
        record = self._authorized(request, "write" if method == "POST" else "read")
        sandbox = await reached(self._host, record.id)
        if sandbox is None:
            await answer_json(send, 502, not_found(record.id))
            return
        account = await _account(sandbox, request.query_params.get("username", ""))
        if method == "POST" and sandbox.disk_full:
            raise FileOperationError("no_space", OUT_OF_DISK)
        try:
            async with self._agents.turn(sandbox, account) as agent:
                response = await respond(request, agent)
                await response(request.scope, request.receive, send)
        except FileOperationError as error:
            if error.kind == "no_space":
                sandbox.disk_was_full = True
            elif sandbox.disk_full and method == "POST":
                # The agent was ended with everything else, by the watch over the disk.
                raise FileOperationError("no_space", OUT_OF_DISK) from error
            raise

    async def _compose(self, request: Request) -> Response:
        """Put files together to one; the user is named in the body."""
        sandbox = sandbox_of(request.scope)
        composition = await _composition(request)
        paths = [path_bytes(path) for path in (composition.destination, *composition.sources)]
        account = await _account(sandbox, composition.username)
        async with self._agents.turn(sandbox, account) as agent:
            written = b"".join(await agent.ask("compose", *paths, seconds=LONG_SECONDS))
        name = text_of(written.rpartition(b"/")[2])
        return JSONResponse({"path": text_of(written), "name": name, "type": "file"})

    def _authorized(self, request: Request, operation: Operation) -> SandboxRecord:
        """The record of the sandbox that this request may read or write; it may be paused."""
        record: SandboxRecord | None = request.scope.get(RECORD_KEY)
        if record is None:
            record = self._signer(SignedRequest.of(request.query_params, operation))
        if not token_matches(request.scope, record):
            if "x-access-token" in request.headers:
                message = "access token present in header but does not match"
                raise FileOperationError("unauthenticated", message)
            SignedRequest.of(request.query_params, operation).check(record.access_token)
        return record

    def _signer(self, signed: SignedRequest) -> SandboxRecord:
        """The sandbox that signed a request which names none."""
        record = signed.find_signer((record, record.access_token) for record in self._host.records.values())
        if record is None:
            raise FileOperationError("unauthenticated", "invalid signature")
        return record


@dataclass(frozen=True)
class _Composition:
    """What a request to compose names."""

    destination: str
    sources: list[str]
    username: str


async def _composition(request: Request) -> _Composition:
    """The request to compose, checked."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_COMPOSE_BYTES:
            raise FileOperationError(
                "too_large", f"a request to compose has at most {MAX_COMPOSE_BYTES} bytes"
            )
    fields: Any = None
    with contextlib.suppress(orjson.JSONDecodeError):
        fields = orjson.loads(body)
    if not isinstance(fields, dict):
        raise FileOperationError("invalid_argument", "invalid request body: expected a JSON object")
    sources, destination = fields.get("source_paths"), fields.get("destination")
    if not isinstance(sources, list) or not sources or not all(isinstance(each, str) for each in sources):
        raise FileOperationError("invalid_argument", "source_paths must not be empty, and hold paths")
    if len(sources) > MAX_COMPOSED:
        raise FileOperationError("invalid_argument", f"at most {MAX_COMPOSED} files can be composed at once")
    if not isinstance(destination, str) or not destination:
        raise FileOperationError("invalid_argument", "destination is required")
    username = fields.get("username") or ""
    return _Composition(destination, sources, username if isinstance(username, str) else repr(username))


RESPONSES: dict[tuple[str, str], Callable[[Request, FileAgentConnection], Awaitable[Response]]] = {
    ("GET", PREFIX): download,
    ("HEAD", PREFIX): download,
    ("POST", PREFIX): upload,
}


async def _account(sandbox: Sandbox, name: str) -> Account:
    try:
        return await sandbox.account(name)
    except UnknownUserError as error:
        raise FileOperationError("unauthenticated", f"error looking up user '{name}': {error}") from error


def _refusal(error: FileOperationError) -> Response:
    headers = {"Content-Range": f"bytes */{error.size}"} if isinstance(error, RangeError) else None
    return JSONResponse({"code": error.status, "message": error.message}, error.status, headers)
