"""The runtime as one ASGI application: requests that name a sandbox go there, others to the control plane."""

from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runtime.control_plane.disk import DiskEndpoint
from runtime.control_plane.errors import answer_host_error, refusal
from runtime.control_plane.logs import LogEndpoints
from runtime.control_plane.metrics import MetricEndpoints
from runtime.control_plane.own import own_routes
from runtime.control_plane.sandboxes import SandboxEndpoints
from runtime.control_plane.secrets import SecretEndpoints
from runtime.control_plane.snapshots import SnapshotEndpoints
from runtime.control_plane.teams import RequireKey
from runtime.control_plane.template_tags import TagEndpoints
from runtime.control_plane.template_uploads import UPLOADS_PREFIX, TemplateUploads
from runtime.control_plane.templates import TemplateEndpoints
from runtime.control_plane.volume_content import VolumeContentEndpoints
from runtime.control_plane.volumes import VolumeEndpoints
from runtime.data_plane.acknowledgements import ACKNOWLEDGEMENTS_PATH, acknowledgements_service
from runtime.data_plane.file_agents import FileAgents
from runtime.data_plane.files_service import PREFIX as FILES_PREFIX
from runtime.data_plane.files_service import FilesService
from runtime.data_plane.filesystem_service import PREFIX as FILESYSTEM_PREFIX
from runtime.data_plane.filesystem_service import FilesystemService
from runtime.data_plane.health import health_service
from runtime.data_plane.process_service import PREFIX as PROCESS_PREFIX
from runtime.data_plane.process_service import ProcessService
from runtime.data_plane.routing import DataPlane, target_of
from runtime.door.request_ids import RequestIds
from runtime.door.slow_readers import BreakOffUnread
from runtime.host.errors import HostError
from runtime.instance import Runtime
from runtime.keys import Keys

log = structlog.get_logger("runtime")


class Application:
    """What uvicorn serves."""

    def __init__(self, runtime: Runtime, *, keys: Keys, domain: str) -> None:
        health = health_service(runtime.metrics)
        agents = FileAgents(runtime.python)
        self._files = FilesService(runtime.host, agents)
        self.data_plane = DataPlane(
            runtime.host,
            {
                PROCESS_PREFIX: ProcessService(),
                FILESYSTEM_PREFIX: FilesystemService(agents),
                FILES_PREFIX: self._files,
                ACKNOWLEDGEMENTS_PATH: acknowledgements_service(),
                "/health": health,
                "/envs": health,
                "/metrics": health,
            },
        )
        self._template_uploads = TemplateUploads(runtime.templates.uploads)
        endpoints = SandboxEndpoints(
            runtime.host, runtime.templates, runtime.volumes, runtime.settings, domain
        )
        self._control_plane = Starlette(
            routes=[
                Route("/health", _health),
                *MetricEndpoints(runtime.host, runtime.metrics).routes(),
                *LogEndpoints(runtime.host).routes(),
                *endpoints.routes(),
                *SnapshotEndpoints(runtime.host, runtime.snapshots, runtime.settings, domain).routes(),
                *VolumeEndpoints(runtime.volumes).routes(),
                *VolumeContentEndpoints(runtime.volumes).routes(),
                *TagEndpoints(runtime.templates.catalogue).routes(),
                *TemplateEndpoints(runtime.templates).routes(),
                *SecretEndpoints(runtime.secrets).routes(),
                *DiskEndpoint(runtime.layout).routes(),
                *own_routes(runtime.host, runtime.capabilities),
            ],
            middleware=[Middleware(BreakOffUnread), Middleware(RequireKey, keys=keys)],
            exception_handlers={
                HostError: answer_host_error,
                HTTPException: _answer_http_error,
                Exception: _answer_mistake,
            },
        )
        self._control_plane.state.request_seconds = runtime.settings.request_timeout
        self._named = RequestIds(self._route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._named(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if target_of(scope) is not None:
            await self.data_plane(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == FILES_PREFIX:
            # A signed link names no sandbox; its signature tells which one it is.
            await self._files(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(UPLOADS_PREFIX):
            await self._template_uploads(scope, receive, send)
        else:
            await self._control_plane(scope, receive, send)


async def _health(_: Request) -> Response:
    return Response(status_code=200)


async def _answer_http_error(_: Request, error: Any) -> Response:
    response = refusal(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def _answer_mistake(_: Request, error: Exception) -> Response:
    """A mistake of ours; it is logged under the request's name."""
    log.error("request_failed", error=repr(error))  # the server logs where it happened
    return refusal(500, "The runtime made a mistake; its log says more under this response's X-Request-Id.")
