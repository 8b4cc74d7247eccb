"""`/metrics`, for Prometheus: numbers about all projects, so for instance administrators' keys alone."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from web.authentication import authenticate, caller_address, credential_of_request
from web.parts import parts_of

_TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


async def show_metrics(request: Request) -> Response:
    """The metrics of all processes; 401 without an instance administrator's key."""
    parts = parts_of(request)
    credential = credential_of_request(request)
    scope = await authenticate(parts.database, credential, caller_address(request)) if credential else None
    if scope is None or not scope.is_instance_administrator:
        return PlainTextResponse(
            "Give Prometheus an instance administrator's key, as `authorization: Bearer cc_…`.\n",
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    return Response(await parts.metrics(), headers={"Content-Type": _TEXT_FORMAT})
