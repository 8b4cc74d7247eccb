"""Stored output as raw bytes: `GET /executions/<id>/logs/<stdout|stderr|pty>` with a key."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commandcenter.logs.output import measure_output, read_output, stream_named
from resolvers.ids import key_of
from web.attachments import attachment_headers
from web.authentication import authenticate_request
from web.byte_stream import ByteStream
from web.parts import services_of
from web.rates import TRANSFER_POINTS, require_allowance
from web.refusals import answering


@answering
async def send_output(request: Request) -> ASGIApp:
    """A stream's bytes that are stored by now; `Output-Gaps` counts the places where some are missing."""
    services = services_of(request)
    _, scope = await authenticate_request(services.database, request)
    require_allowance(request, services.rates.take_request(scope, TRANSFER_POINTS))
    stream = stream_named(request.path_params["stream"])
    execution_id = key_of(request.path_params["execution_id"], "Execution", "executionId")
    output = await measure_output(services, scope, execution_id, stream)
    headers = {
        **attachment_headers(f"execution-{output.execution.number}.{stream.name.lower()}.log"),
        "Content-Length": str(output.size),
        "Output-Gaps": str(output.gaps),
    }
    if request.method == "HEAD":
        return Response(headers=headers)
    return ByteStream(read_output(services, scope, output), headers)
