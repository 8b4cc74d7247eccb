"""envd's `/health`, `/envs` and `/metrics`: is the sandbox there, and how does it fare."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from runtime.data_plane.routing import sandbox_of


async def health(_: Request) -> Response:
    """The sandbox answers."""
    return Response(status_code=204)


async def environment(request: Request) -> Response:
    """The variables that every process inside gets."""
    return JSONResponse(sandbox_of(request.scope).environment({}))


service = Router([Route("/health", health), Route("/envs", environment)])
