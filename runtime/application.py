"""The runtime as one ASGI application: requests that name a sandbox go there, others to the control plane."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runtime.control_plane.errors import answer_host_error
from runtime.control_plane.key import RequireKey
from runtime.control_plane.sandboxes import SandboxEndpoints
from runtime.data_plane import health
from runtime.data_plane.process_service import PREFIX as PROCESS_PREFIX
from runtime.data_plane.process_service import ProcessService
from runtime.data_plane.routing import DataPlane, target_of
from runtime.host.errors import HostError
from runtime.host.sandbox_host import SandboxHost
from runtime.settings import RuntimeSettings


class Application:
    """What uvicorn serves."""

    def __init__(self, host: SandboxHost, settings: RuntimeSettings, *, api_key: str, domain: str) -> None:
        self._data_plane = DataPlane(
            host,
            {PROCESS_PREFIX: ProcessService(), "/health": health.service, "/envs": health.service},
        )
        self._control_plane = _control_plane(host, settings, api_key, domain)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and target_of(scope) is not None:
            await self._data_plane(scope, receive, send)
        else:
            await self._control_plane(scope, receive, send)


def _control_plane(host: SandboxHost, settings: RuntimeSettings, api_key: str, domain: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await host.close()

    return Starlette(
        routes=[Route("/health", _health), *SandboxEndpoints(host, settings, domain).routes()],
        middleware=[Middleware(RequireKey, api_key=api_key)],
        exception_handlers={HostError: answer_host_error},
        lifespan=lifespan,
    )


async def _health(_: Request) -> Response:
    return Response(status_code=200)
