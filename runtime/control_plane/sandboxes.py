"""E2B's control plane for sandboxes, as Starlette routes."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import created, detailed, listed, measured
from runtime.control_plane.bodies import (
    IDEMPOTENCY_KEY,
    Connecting,
    Listing,
    NetworkUpdate,
    NewSandbox,
    Pausing,
    Refresh,
    Timeout,
    read_body,
    read_query,
)
from runtime.control_plane.listing import page_of
from runtime.host.errors import InvalidSandboxRequestError, SandboxConflictError, SandboxNotFoundError
from runtime.host.limits.asked import HEADER as LIMITS_HEADER
from runtime.host.limits.asked import read_limits
from runtime.host.metrics import Metrics
from runtime.host.requests import SandboxRequest
from runtime.host.sandbox_host import SandboxHost
from runtime.settings import RuntimeSettings

Endpoint = Callable[[Request], Awaitable[Response]]


class SandboxEndpoints:
    """The endpoints; `routes` says where each is. A path's id may bear a client's id behind a dash."""

    def __init__(self, host: SandboxHost, metrics: Metrics, settings: RuntimeSettings, domain: str) -> None:
        self._host = host
        self._metrics = metrics
        self._settings = settings
        self._domain = domain

    def routes(self) -> list[Route]:
        """The paths of both versions of the protocol."""
        one = "/sandboxes/{id}"
        return [
            Route("/v2/sandboxes", self._creating(always_secure=True), methods=["POST"]),
            Route("/sandboxes", self._creating(always_secure=False), methods=["POST"]),
            Route("/v2/sandboxes", self.list_sandboxes, methods=["GET"]),
            Route("/sandboxes", self.list_running, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.kill, methods=["DELETE"]),
            Route(one + "/timeout", self.set_timeout, methods=["POST"]),
            Route(one + "/refreshes", self.refresh, methods=["POST"]),
            Route(one + "/pause", self.pause, methods=["POST"]),
            Route(one + "/resume", self.resume, methods=["POST"]),
            Route(one + "/connect", self.connect, methods=["POST"]),
            Route("/v2" + one + "/connect", self.connect, methods=["POST"]),
            Route(one + "/metrics", self.metrics, methods=["GET"]),
            Route(one + "/network", self.set_network, methods=["PUT"]),
        ]

    def _creating(self, *, always_secure: bool) -> Endpoint:
        """Version 1 gives a token only where it is asked for; version 2 always does."""

        async def create(request: Request) -> Response:
            body = await read_body(request, NewSandbox)
            key = request.headers.get("idempotency-key")
            if key is not None and not re.match(IDEMPOTENCY_KEY, key):
                raise InvalidSandboxRequestError("Idempotency-Key: expected 1 to 255 of a-z, 0-9 and '-'")
            for name in ("mcp", "iam", "volumeMounts"):
                if getattr(body, name):
                    raise InvalidSandboxRequestError(f"{name}: this runtime doesn't offer it; leave it out")
            wanted = SandboxRequest(
                template=body.templateID,
                lifetime=self._lifetime(body.timeout),
                secure=always_secure or body.secure,
                auto_pause=body.autoPause,
                auto_pause_memory=body.autoPauseMemory,
                auto_resume=body.autoResume.enabled,
                allow_internet_access=body.allow_internet_access,
                network=body.network,
                metadata=body.metadata,
                environment=body.envVars,
                limits=read_limits(request.headers.get(LIMITS_HEADER, "")),
            )
            record = await self._host.create(wanted, key)
            return JSONResponse(created(record, self._domain), HTTPStatus.CREATED)

        return create

    async def list_sandboxes(self, request: Request) -> Response:
        """Running and paused ones, by filters, in pages."""
        page, token = page_of(self._host.records.values(), read_query(request, Listing))
        headers = {"x-next-token": token} if token else None
        return JSONResponse([listed(each, self._disk_bytes(each.id)) for each in page], headers=headers)

    async def list_running(self, request: Request) -> Response:
        """Version 1: those that run, all at once."""
        metadata = request.query_params.get("metadata", "")
        everything = Listing(metadata=metadata, state="running")
        page, token = page_of(self._host.records.values(), everything)
        rows = [*page]
        while token:
            page, token = page_of(
                self._host.records.values(), everything.model_copy(update={"nextToken": token})
            )
            rows += page
        return JSONResponse([listed(each, self._disk_bytes(each.id)) for each in rows])

    async def get(self, request: Request) -> Response:
        """One sandbox, in full."""
        record = self._host.find(_id(request))
        return JSONResponse(detailed(record, self._disk_bytes(record.id), self._domain))

    async def kill(self, request: Request) -> Response:
        """End a sandbox."""
        await self._host.kill(_id(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def set_timeout(self, request: Request) -> Response:
        """Set when it ends."""
        body = await read_body(request, Timeout)
        self._running(_id(request))
        self._host.set_lifetime(_id(request), body.timeout)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def refresh(self, request: Request) -> Response:
        """Let it live on, as older clients ask."""
        body = await read_body(request, Refresh)
        await self._host.resume(self._running(_id(request)), lifetime=self._lifetime(body.duration))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def pause(self, request: Request) -> Response:
        """Pause it."""
        body = await read_body(request, Pausing)
        await self._host.pause(_id(request), memory=body.memory)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def resume(self, request: Request) -> Response:
        """Version 1: resume a paused one; one that runs is a conflict."""
        body = await read_body(request, Connecting)
        record = self._host.find(_id(request))
        if record.state == "running":
            raise SandboxConflictError(f"sandbox {record.id} is already running")
        await self._host.resume(record.id, lifetime=self._lifetime(body.timeout), memory=body.memory)
        return JSONResponse(created(record, self._domain), HTTPStatus.CREATED)

    async def connect(self, request: Request) -> Response:
        """Resume it if it is paused; if it runs, let it live at least so long."""
        body = await read_body(request, Connecting)
        lifetime = self._lifetime(body.timeout)
        resumed = await self._host.resume(_id(request), lifetime=lifetime, memory=body.memory)
        status = HTTPStatus.CREATED if resumed else HTTPStatus.OK
        return JSONResponse(created(self._host.find(_id(request)), self._domain), status)

    async def metrics(self, request: Request) -> Response:
        """What it used, between two times in Unix seconds."""
        record = self._host.find(_id(request))
        start, end = (_seconds(request, name) for name in ("start", "end"))
        samples = await self._metrics.samples(record.id, start, end)
        return JSONResponse([measured(record, sample) for sample in samples])

    async def set_network(self, request: Request) -> Response:
        """Replace what it may reach; what is left out is cleared."""
        body = await read_body(request, NetworkUpdate)
        egress = body.model_dump(exclude_unset=True, exclude={"allow_internet_access"})
        self._host.set_network(_id(request), body.allow_internet_access, egress)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _running(self, sandbox_id: str) -> str:
        """The id of a sandbox that runs; one that is paused counts as not found, as on E2B."""
        if self._host.find(sandbox_id).state != "running":
            raise SandboxNotFoundError(f'sandbox "{sandbox_id}" is not running')
        return sandbox_id

    def _lifetime(self, asked: int | None) -> int:
        return self._settings.default_timeout if asked is None else asked

    def _disk_bytes(self, sandbox_id: str) -> int:
        return self._metrics.disk_total(sandbox_id)


def _id(request: Request) -> str:
    whole: str = request.path_params["id"]
    return whole.partition("-")[0]


def _seconds(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdigit() or len(text) > 12:
        raise InvalidSandboxRequestError(f"{name}: expected a time in Unix seconds")
    return int(text)
