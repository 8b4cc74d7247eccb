"""E2B's control plane for volumes; what is in them is served apart, by the volume's own token."""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.bodies import NewVolume, read_body
from runtime.control_plane.teams import team_of
from runtime.volumes.store import Volume, VolumeStore


class VolumeEndpoints:
    """The endpoints; `routes` says where each is."""

    def __init__(self, volumes: VolumeStore) -> None:
        self._volumes = volumes

    def routes(self) -> list[Route]:
        """The paths."""
        return [
            Route("/volumes", self.create, methods=["POST"]),
            Route("/volumes", self.list_all, methods=["GET"]),
            Route("/volumes/{id}", self.get, methods=["GET"]),
            Route("/volumes/{id}", self.destroy, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make a volume."""
        body = await read_body(request, NewVolume)
        return JSONResponse(
            _with_token(self._volumes.create(team_of(request), body.name)), HTTPStatus.CREATED
        )

    async def list_all(self, request: Request) -> Response:
        """The team's volumes."""
        return JSONResponse([_row(volume) for volume in self._volumes.of_team(team_of(request))])

    async def get(self, request: Request) -> Response:
        """One volume, with its token."""
        return JSONResponse(_with_token(self._volumes.find(team_of(request), request.path_params["id"])))

    async def destroy(self, request: Request) -> Response:
        """Remove a volume with its files."""
        remove_files = self._volumes.destroy(team_of(request), request.path_params["id"])
        await asyncio.to_thread(remove_files)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _row(volume: Volume) -> dict[str, Any]:
    return {"volumeID": volume.id, "name": volume.name}


def _with_token(volume: Volume) -> dict[str, Any]:
    return _row(volume) | {"token": volume.token}
