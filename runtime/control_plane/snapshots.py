"""E2B's control plane for snapshots and forks."""

import asyncio
from http import HTTPStatus
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import created
from runtime.control_plane.bodies import Forking, SnapshotListing, Snapshotting, read_body, read_query
from runtime.control_plane.errors import status_of
from runtime.control_plane.listing import read_token, token_of
from runtime.control_plane.paths import sandbox_id
from runtime.control_plane.teams import team_of
from runtime.host.errors import HostError, InvalidSandboxRequestError
from runtime.host.requests import SandboxRequest, alike
from runtime.host.sandbox_host import SandboxHost
from runtime.layers.merging import NO_ROOM
from runtime.settings import RuntimeSettings
from runtime.templates.snapshots import Snapshot, Snapshots

log = structlog.get_logger("runtime.snapshots")

MOST_FORKS = 20


class SnapshotEndpoints:
    """The endpoints; `routes` says where each is. A snapshot is deleted as the template that it is."""

    def __init__(
        self, host: SandboxHost, snapshots: Snapshots, settings: RuntimeSettings, domain: str
    ) -> None:
        self._host = host
        self._snapshots = snapshots
        self._settings = settings
        self._domain = domain

    def routes(self) -> list[Route]:
        """The paths."""
        return [
            Route("/sandboxes/{id}/snapshots", self.create, methods=["POST"]),
            Route("/sandboxes/{id}/fork", self.fork, methods=["POST"]),
            Route("/snapshots", self.list_all, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Keep a sandbox's files as a snapshot; its processes are in none."""
        body = await read_body(request, Snapshotting)
        snapshot = await self._snapshots.create(team_of(request), sandbox_id(request), body.name)
        return JSONResponse(_row(snapshot), HTTPStatus.CREATED)

    async def list_all(self, request: Request) -> Response:
        """The team's snapshots, the youngest first, in pages."""
        wanted = read_query(request, SnapshotListing)
        source = None if wanted.sandboxID is None else wanted.sandboxID.partition("-")[0]
        found = self._snapshots.of_team(team_of(request), sandbox_id=source, name=wanted.name)
        if wanted.nextToken is not None:
            after = read_token(wanted.nextToken)
            found = [each for each in found if _place(each) < after]
        page = found[: wanted.limit]
        more = len(found) > len(page)
        headers = {"x-next-token": token_of(_place(page[-1]))} if more else None
        return JSONResponse([_row(each) for each in page], headers=headers)

    async def fork(self, request: Request) -> Response:
        """Make sandboxes that begin with the files of one; each comes about or not by itself."""
        body = await read_body(request, Forking)
        self._check(body)
        parent = self._host.find(sandbox_id(request), team_of(request))
        async with self._host.captured(parent.id) as (record, layers):
            wanted = [alike(record, layers, body.timeout) for _ in range(body.count)]
            results = await asyncio.gather(*map(self._child, wanted))
        return JSONResponse(results, HTTPStatus.CREATED)

    async def _child(self, wanted: SandboxRequest) -> dict[str, Any]:
        try:
            record = await self._host.create(wanted)
        except HostError as error:
            return {"error": {"code": int(status_of(error)), "message": str(error)}}
        except OSError as error:
            log.warning("fork_not_made", error=str(error))
            return {"error": _told(error)}
        return {"sandbox": created(record, self._domain)}

    def _check(self, body: Forking) -> None:
        if body.count < 1:
            raise InvalidSandboxRequestError("Count must be at least 1")
        if body.count > MOST_FORKS:
            raise InvalidSandboxRequestError(f"Count cannot be greater than {MOST_FORKS}")
        if body.count >= self._settings.sandbox_limit:
            raise InvalidSandboxRequestError(
                "Count must be lower than the maximum number of concurrent sandboxes "
                f"({self._settings.sandbox_limit})"
            )
        self._host.check_lifetime(body.timeout)


def _told(error: OSError) -> dict[str, Any]:
    if error.errno in NO_ROOM:
        message = "There is no room on the disk for another sandbox; kill some, or delete snapshots."
        return {"code": int(HTTPStatus.INSUFFICIENT_STORAGE), "message": message}
    message = "The fork could not be made on this machine; the runtime's log tells why."
    return {"code": int(HTTPStatus.INTERNAL_SERVER_ERROR), "message": message}


def _row(snapshot: Snapshot) -> dict[str, Any]:
    return {"snapshotID": snapshot.id, "names": snapshot.names}


def _place(snapshot: Snapshot) -> tuple[str, str]:
    return snapshot.build.created_at.isoformat(timespec="microseconds"), f"{snapshot.build.id}:{snapshot.tag}"
