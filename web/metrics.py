"""`/metrics`, for Prometheus: it tells of all projects, so it takes an instance administrator's key."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from web.authentication import authenticate, caller_address, credential_of_request
from web.parts import parts_of

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def show_metrics(request: Request) -> Response:
    """The metrics of all processes in Prometheus's text format."""
    parts = parts_of(request)
    credential = credential_of_request(request)
    if credential is None or credential.is_session:
        return _refuse(401, "The metrics need an API key, as `Authorization: Bearer cc_…`.")
    scope = await authenticate(parts.database, credential, caller_address(request))
    if scope is None:
        return _refuse(401, "The key is unknown, expired or revoked.")
    if not scope.is_instance_administrator:
        return _refuse(403, "The metrics tell of all projects: use an instance administrator's key.")
    return Response(await parts.metrics(), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})


def _refuse(status: int, reason: str) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="CommandCenter"'} if status == 401 else {}
    return PlainTextResponse(reason + "\n", status_code=status, headers=headers)
