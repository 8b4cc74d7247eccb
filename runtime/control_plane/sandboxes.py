"""E2B's control plane for sandboxes, as Starlette routes."""

import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import created, detailed, listed
from runtime.control_plane.bodies import (
    IDEMPOTENCY_KEY,
    Connecting,
    Listing,
    NetworkUpdate,
    NewSandbox,
    Pausing,
    Refresh,
    Resuming,
    Timeout,
    read_body,
    read_query,
)
from runtime.control_plane.listing import page_of
from runtime.control_plane.paths import sandbox_id
from runtime.control_plane.teams import team_of
from runtime.host.errors import InvalidSandboxRequestError, SandboxConflictError, SandboxNotFoundError
from runtime.host.limits.asked import HEADER as LIMITS_HEADER
from runtime.host.limits.asked import read_limits
from runtime.host.record import SandboxRecord, VolumeMount
from runtime.host.requests import SandboxRequest
from runtime.host.sandbox_host import SandboxHost
from runtime.settings import RuntimeSettings
from runtime.templates.templates import Templates
from runtime.volumes.mounts import WantedMount, resolve_mounts
from runtime.volumes.store import VolumeStore

OLDER_LIFETIME = 15
"""Seconds that a sandbox lives where a client of version 1 doesn't say how long."""


class SandboxEndpoints:
    """The endpoints; `routes` says where each is. A path's id may bear a client's id behind a dash."""

    def __init__(
        self,
        host: SandboxHost,
        templates: Templates,
        volumes: VolumeStore,
        settings: RuntimeSettings,
        domain: str,
    ) -> None:
        self._host = host
        self._templates = templates
        self._volumes = volumes
        self._settings = settings
        self._domain = domain

    def routes(self) -> list[Route]:
        """The paths of both versions of the protocol."""
        one = "/sandboxes/{id}"
        return [
            Route("/v2/sandboxes", self.create, methods=["POST"]),
            Route("/sandboxes", self.create_older, methods=["POST"]),
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
            Route(one + "/network", self.set_network, methods=["PUT"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make a sandbox."""
        body = await read_body(request, NewSandbox)
        return await self._create(request, body, self._lifetime(body.timeout))

    async def create_older(self, request: Request) -> Response:
        """Version 1: it lives shortly where it says nothing, and what its clients always say is no wish."""
        body = await read_body(request, NewSandbox)
        if body.allow_internet_access:
            body.allow_internet_access = None
        return await self._create(request, body, self._older_lifetime(body.timeout))

    async def _create(self, request: Request, body: NewSandbox, lifetime: int) -> Response:
        key = request.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
            raise InvalidSandboxRequestError("Idempotency-Key: expected 1 to 255 of a-z, 0-9 and '-'")
        for name in ("mcp", "iam"):
            if getattr(body, name):
                raise InvalidSandboxRequestError(f"{name}: this runtime doesn't offer it; leave it out")
        if body.autoResume.enabled and not body.autoPauseMemory:
            raise InvalidSandboxRequestError(
                "autoResume: a sandbox that is paused without its memory can't be resumed by traffic; "
                "leave autoPauseMemory out, or resume it by connecting"
            )
        limits = read_limits(request.headers.get(LIMITS_HEADER, ""))
        found = self._templates.catalogue.resolve(team_of(request), body.templateID)
        wanted = SandboxRequest(
            template=found.template_id,
            alias=found.alias,
            layers=found.layers,
            volumes=self._mounts(team_of(request), body),
            user=found.context.user,
            directory=found.context.directory,
            start=found.start,
            standard=self._templates.limits(found),
            team=team_of(request),
            lifetime=lifetime,
            auto_pause=body.autoPause,
            auto_pause_memory=body.autoPauseMemory,
            auto_resume=body.autoResume.enabled,
            allow_internet_access=body.allow_internet_access,
            network=body.network,
            metadata=body.metadata,
            environment=found.context.environment | body.envVars,
            limits=limits,
            digest=_digest(body, limits) if key else "",
        )
        record = await self._host.create(wanted, key)
        self._templates.catalogue.count_spawn(record.template)
        return JSONResponse(created(record, self._domain), HTTPStatus.CREATED)

    async def list_sandboxes(self, request: Request) -> Response:
        """Running and paused ones, by filters, in pages."""
        page, token = page_of(self._of_team(request), read_query(request, Listing))
        headers = {"x-next-token": token} if token else None
        return JSONResponse([listed(each) for each in page], headers=headers)

    async def list_running(self, request: Request) -> Response:
        """Version 1: those that run, all at once."""
        metadata = request.query_params.get("metadata", "")
        everything = Listing(metadata=metadata, state="running")
        records = self._of_team(request)
        page, token = page_of(records, everything)
        rows = [*page]
        while token:
            page, token = page_of(records, everything.model_copy(update={"nextToken": token}))
            rows += page
        return JSONResponse([listed(each) for each in rows])

    async def get(self, request: Request) -> Response:
        """One sandbox, in full."""
        return JSONResponse(detailed(self._find(request), self._domain))

    async def kill(self, request: Request) -> Response:
        """End a sandbox."""
        await self._host.kill(self._find(request).id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def set_timeout(self, request: Request) -> Response:
        """Set when it ends."""
        body = await read_body(request, Timeout)
        self._host.set_lifetime(self._running(request).id, body.timeout)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def refresh(self, request: Request) -> Response:
        """Let it live on, as older clients ask."""
        body = await read_body(request, Refresh)
        await self._host.resume(self._running(request).id, lifetime=self._older_lifetime(body.duration))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def pause(self, request: Request) -> Response:
        """Pause it."""
        body = await read_body(request, Pausing)
        await self._host.pause(self._find(request).id, memory=body.memory, strict=body.requireHealthyGuest)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def resume(self, request: Request) -> Response:
        """Version 1: resume a paused one; one that runs is a conflict."""
        body = await read_body(request, Resuming)
        record = self._find(request)
        if record.state == "running":
            raise SandboxConflictError(f"sandbox {record.id} is already running")
        if body.autoPause is not None:
            record.auto_pause = body.autoPause
        await self._host.resume(record.id, lifetime=self._older_lifetime(body.timeout), memory=body.memory)
        return JSONResponse(created(record, self._domain), HTTPStatus.CREATED)

    async def connect(self, request: Request) -> Response:
        """Resume it if it is paused; if it runs, let it live at least so long."""
        body = await read_body(request, Connecting)
        record = self._find(request)
        resumed = await self._host.resume(
            record.id, lifetime=self._lifetime(body.timeout), memory=body.memory
        )
        status = HTTPStatus.CREATED if resumed else HTTPStatus.OK
        return JSONResponse(created(record, self._domain), status)

    async def set_network(self, request: Request) -> Response:
        """Replace what it may reach; what is left out is cleared."""
        body = await read_body(request, NetworkUpdate)
        egress = body.model_dump(exclude_unset=True, exclude={"allow_internet_access"})
        self._host.set_network(self._find(request).id, body.allow_internet_access, egress)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _find(self, request: Request) -> SandboxRecord:
        return self._host.find(sandbox_id(request), team_of(request))

    def _of_team(self, request: Request) -> list[SandboxRecord]:
        team = team_of(request)
        return [record for record in self._host.records.values() if record.team == team]

    def _running(self, request: Request) -> SandboxRecord:
        """A sandbox that runs; one that is paused counts as not found, as on E2B."""
        record = self._find(request)
        if record.state != "running":
            raise SandboxNotFoundError(f'sandbox "{record.id}" is not running')
        return record

    def _mounts(self, team: str, body: NewSandbox) -> tuple[VolumeMount, ...]:
        wanted = [WantedMount(mount.name, mount.path) for mount in body.volumeMounts or ()]
        return resolve_mounts(self._volumes, team, wanted)

    def _lifetime(self, asked: int | None) -> int:
        return self._settings.default_timeout if asked is None else asked

    def _older_lifetime(self, asked: int | None) -> int:
        return min(OLDER_LIFETIME, self._settings.default_timeout) if asked is None else asked


def _digest(body: NewSandbox, limits: Mapping[str, float]) -> str:
    """Of what the client said alone: its template may be built anew between two tries."""
    said = {"body": body.model_dump(mode="json"), "limits": dict(limits)}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
