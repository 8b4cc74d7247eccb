"""Find the live sandbox that a request is for, check its token, and hand it to a service.

A service is an ASGI application. It finds the sandbox by `sandbox_of(scope)`.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.data_plane.inside_requests import TRAFFIC_TOKEN
from runtime.data_plane.ports import NoAnswerError, pass_on
from runtime.host.errors import HostError
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.sandbox_host import SandboxHost

log = structlog.get_logger("runtime.routing")

ENVD_PORT = 49983
HOST_PATTERN = re.compile(rb"(\d{1,5})-([a-z0-9]+)\.")
SCOPE_KEY = "runtime.sandbox"
RECORD_KEY = "runtime.record"
# It asks for no token, and so wakes nobody without one.
HEALTH = "/health"
# Its service checks tokens and signatures, and only then reaches for the sandbox whose record it gets.
SELF_CHECKING = "/files"

UNAUTHORIZED = "unauthorized access, please provide a valid access token or method signing if supported"


def sandbox_of(scope: Scope) -> Sandbox:
    """The sandbox that a request was routed to."""
    sandbox: Sandbox = scope[SCOPE_KEY]
    return sandbox


def target_of(scope: Scope) -> tuple[int, str] | None:
    """The port and sandbox id that a request names, in headers or in its host name."""
    headers = dict(scope["headers"])
    sandbox_id = headers.get(b"e2b-sandbox-id")
    if sandbox_id is not None:
        port = headers.get(b"e2b-sandbox-port", b"%d" % ENVD_PORT)
        return (int(port) if port.isdigit() and len(port) < 6 else 0), sandbox_id.decode("latin-1")
    match = HOST_PATTERN.match(headers.get(b"host", b""))
    return (int(match[1]), match[2].decode()) if match else None


@dataclass(frozen=True)
class Wanted:
    """Where a request wants to, and may as far as its tokens go; the sandbox may be paused."""

    record: SandboxRecord
    port: int
    may_wake: bool


@dataclass(frozen=True)
class Admitted:
    """A request that may pass to a port inside."""

    sandbox: Sandbox
    port: int


@dataclass(frozen=True)
class Refusal:
    """A request that may not, as E2B's proxy says it."""

    status: int
    body: dict[str, Any]


class DataPlane:
    """Routes by path prefix to services, for requests that name a sandbox that runs."""

    def __init__(self, host: SandboxHost, services: Mapping[str, ASGIApp]) -> None:
        self._host = host
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        wanted = self._judge(scope)
        if isinstance(wanted, Wanted) and wanted.port == ENVD_PORT and scope["path"] == SELF_CHECKING:
            scope[RECORD_KEY] = wanted.record
            await self._serve(scope, receive, send)
            return
        admitted = wanted if isinstance(wanted, Refusal) else await self._admit(wanted)
        if isinstance(admitted, Refusal):
            await answer_json(send, admitted.status, admitted.body)
        elif admitted.port == ENVD_PORT:
            scope[SCOPE_KEY] = admitted.sandbox
            await self._serve(scope, receive, send)
        else:
            await self._pass_on(admitted, scope, receive, send)

    async def admit(self, scope: Scope) -> Admitted | Refusal:
        """Whether a request may pass to where it wants; if so, a paused sandbox that is to wake wakes."""
        wanted = self._judge(scope)
        return wanted if isinstance(wanted, Refusal) else await self._admit(wanted)

    def _judge(self, scope: Scope) -> Wanted | Refusal:
        """What the request's tokens open; nothing is woken for one that is refused."""
        target = target_of(scope)
        if target is None:
            return Refusal(400, {"code": 400, "message": "only sandboxes' ports serve WebSockets"})
        port, sandbox_id = target
        record = self._host.records.get(sandbox_id)
        if record is None or (record.state == "paused" and not record.wakes_by_itself):
            return Refusal(502, not_found(sandbox_id))
        if port != ENVD_PORT:
            complaint = _token_complaint(scope, record.traffic_token)
            if complaint is not None:
                return Refusal(403, {"sandboxId": record.id, "message": complaint, "code": 403})
            return Wanted(record, port, may_wake=True)
        if scope["type"] == "websocket":
            return Refusal(400, {"code": 400, "message": "envd speaks no WebSocket"})
        bears_token = token_matches(scope, record)
        if not bears_token and scope["path"] not in (HEALTH, SELF_CHECKING):
            return Refusal(401, {"code": 401, "message": UNAUTHORIZED})
        return Wanted(record, port, may_wake=bears_token)

    async def _admit(self, wanted: Wanted) -> Admitted | Refusal:
        if wanted.may_wake:
            sandbox = await reached(self._host, wanted.record.id)
        else:
            sandbox = self._host.live(wanted.record.id)
        return (
            Refusal(502, not_found(wanted.record.id)) if sandbox is None else Admitted(sandbox, wanted.port)
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for prefix, service in self._services.items():
            if path.startswith(prefix):
                await service(scope, receive, send)
                return
        await answer_json(send, 404, {"code": 404, "message": f"no service at {path}"})

    async def _pass_on(self, admitted: Admitted, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await pass_on(admitted.sandbox, admitted.port, scope, receive, send)
        except ConnectionRefusedError:
            refusal = not_open(admitted)
            await answer_json(send, refusal.status, refusal.body)
        except NoAnswerError as error:
            body = {
                "sandboxId": admitted.sandbox.id,
                "message": str(error),
                "port": admitted.port,
                "code": 502,
            }
            await answer_json(send, 502, body)


async def reached(host: SandboxHost, sandbox_id: str) -> Sandbox | None:
    """A sandbox for a request that may have it, woken where it is to wake; None where there is none."""
    try:
        return await host.reach(sandbox_id)
    except HostError as error:
        log.warning("sandbox_not_woken", sandbox=sandbox_id, error=str(error))
        return None


def _token_complaint(scope: Scope, expected: str | None) -> str | None:
    """What is wrong with a request's token for a sandbox's ports, in E2B's words."""
    if expected is None:
        return None
    name = TRAFFIC_TOKEN.decode()
    given: bytes | None = dict(scope["headers"]).get(TRAFFIC_TOKEN)
    if given is None:
        return f"Sandbox is secured with traffic access token. Token header '{name}' is missing"
    if not secrets.compare_digest(given, expected.encode()):
        return f"Sandbox is secured with traffic access token. Provided token in header '{name}' is invalid"
    return None


def not_open(admitted: Admitted) -> Refusal:
    """E2B's answer where no server listens."""
    message = "The sandbox is running but port is not open"
    body = {"sandboxId": admitted.sandbox.id, "message": message, "port": admitted.port, "code": 502}
    return Refusal(502, body)


def token_matches(scope: Scope, record: SandboxRecord) -> bool:
    """Whether the request bears the sandbox's access token."""
    given: bytes = dict(scope["headers"]).get(b"x-access-token", b"")
    return secrets.compare_digest(given, record.access_token.encode())


def not_found(sandbox_id: str) -> dict[str, Any]:
    """E2B's answer for a sandbox that isn't there, by which its clients know."""
    return {"sandboxId": sandbox_id, "message": "The sandbox was not found", "code": 502}


async def answer_json(send: Send, status: int, body: Any) -> None:
    """Send a whole JSON response."""
    encoded = orjson.dumps(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(encoded))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})
