"""E2B's control plane for sandboxes, as Starlette routes."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import created
from runtime.control_plane.bodies import NewSandbox, read_body
from runtime.host.sandbox_host import SandboxHost, SandboxRequest
from runtime.settings import RuntimeSettings

Endpoint = Callable[[Request], Awaitable[Response]]


class SandboxEndpoints:
    """The endpoints; `routes` says where each is."""

    def __init__(self, host: SandboxHost, settings: RuntimeSettings, domain: str) -> None:
        self._host = host
        self._settings = settings
        self._domain = domain

    def routes(self) -> list[Route]:
        """The paths of both versions of the protocol."""
        return [
            Route("/v2/sandboxes", self._creating(always_secure=True), methods=["POST"]),
            Route("/sandboxes", self._creating(always_secure=False), methods=["POST"]),
            Route("/sandboxes/{id}", self.kill, methods=["DELETE"]),
        ]

    def _creating(self, *, always_secure: bool) -> Endpoint:
        """Version 1 gives a token only where it is asked for; version 2 always does."""

        async def create(request: Request) -> Response:
            body = await read_body(request, NewSandbox)
            record = await self._host.create(
                SandboxRequest(
                    template=body.templateID,
                    timeout=self._settings.default_timeout if body.timeout is None else body.timeout,
                    secure=always_secure or body.secure,
                    metadata=body.metadata,
                    environment=body.envVars,
                )
            )
            return JSONResponse(created(record, self._domain), HTTPStatus.CREATED)

        return create

    async def kill(self, request: Request) -> Response:
        """End a sandbox."""
        await self._host.kill(request.path_params["id"])
        return Response(status_code=HTTPStatus.NO_CONTENT)
