"""`POST /runtime/acknowledgements`, beside E2B's protocol: which output and which ends are safe.

A process that was started with `Runtime-Output-Kept: until-acknowledged` waits while what it wrote last has
not been acknowledged, and is remembered after its end until that was. So whoever stores its output may die
at any moment: another reads on from what is stored.

The body is a list of `{"tag": "…", "taken": {"stdout": 1200}, "ended": false}`. The answer is 204, also for
processes that are not known any more.
"""

from typing import Annotated

from annotated_types import Len
from pydantic import BaseModel, Field, NonNegativeInt, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from runtime.data_plane.routing import sandbox_of
from runtime.host.sandbox import Sandbox

ACKNOWLEDGEMENTS_PATH = "/runtime/acknowledgements"
LARGEST_OFFSET = 1 << 62
LARGEST_BODY = 1 << 20


class Acknowledgement(BaseModel):
    """How many bytes of each stream of a process are safe, and whether its end is."""

    tag: str
    taken: dict[str, Annotated[NonNegativeInt, Field(le=LARGEST_OFFSET)]] = {}
    ended: bool = False


_BODY = TypeAdapter(Annotated[list[Acknowledgement], Len(max_length=1000)])


def acknowledgements_service() -> Router:
    """The endpoint as a service of the data plane."""
    return Router([Route(ACKNOWLEDGEMENTS_PATH, _acknowledge, methods=["POST"])])


async def _acknowledge(request: Request) -> Response:
    try:
        acknowledgements = _BODY.validate_json(await _body(request))
    except ValidationError as error:
        return JSONResponse({"code": 400, "message": str(error)}, status_code=400)
    for each in acknowledgements:
        _note(sandbox_of(request.scope), each)
    return Response(status_code=204)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            break
    return body


def _note(sandbox: Sandbox, acknowledgement: Acknowledgement) -> None:
    process = sandbox.tagged(acknowledgement.tag)
    if process is None:
        return
    process.acknowledge(acknowledgement.taken)
    if acknowledgement.ended and process.ending is not None:
        sandbox.ended_processes.drop(process)
