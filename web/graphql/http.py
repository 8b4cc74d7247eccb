"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/."""

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from web.authentication import authenticate_request
from web.graphql.departures import while_client_stays
from web.graphql.errors import Payload, RequestErrorCode, internal_error
from web.graphql.media_types import AnswerType, preferred_answer
from web.graphql.requests import allowed_operations, read_operation
from web.graphql.service import GraphQLService, RefusedOperation
from web.graphql.streams import ResultStream, stream_transport
from web.rates import note_verdict
from web.refusals import RefusedRequestError

METHODS = ("GET", "POST")


async def serve_request(service: GraphQLService, scope: ASGIScope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request to `/graphql` that is not for a page."""
    request = Request(scope, receive)
    response: ASGIApp
    try:
        response = await _respond(service, request)
    except RefusedRequestError as refusal:
        response = _refuse(request, refusal)
    except ClientDisconnect:
        return
    except Exception as error:
        response = _answer(request, {"errors": [internal_error(error)]}, status=500)
    await response(scope, receive, send)


async def _respond(service: GraphQLService, request: Request) -> ASGIApp:
    if request.method not in METHODS:
        raise RefusedRequestError(
            f"{request.method} is not answered here; use POST.", status=405, headers={"Allow": "GET, POST"}
        )
    credential, scope = await authenticate_request(service.database, request)
    operation = await read_operation(request, maximum_bytes=service.body_bytes)
    accept = request.headers.get("accept")
    transport = stream_transport(accept) if request.method == "POST" else None
    bill = service.bill(scope)
    if transport is not None:
        return ResultStream(service, operation, bill, credential, transport)
    allowed = allowed_operations(request)
    result = await while_client_stays(request.receive, service.execute(operation, bill, allowed))
    if bill.verdict is not None:
        note_verdict(request.scope, bill.verdict)
    if isinstance(result, RefusedOperation):
        return _answer_refused(request, result)
    return _answer(request, result)


def _answer(
    request: Request, payload: Payload, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    media_type = preferred_answer(request.headers.get("accept"))
    return Response(
        orjson.dumps(payload),
        status_code=status,
        headers={
            "Content-Type": f"{media_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept, Authorization, Cookie, X-API-Key",
            **(headers or {}),
        },
    )


def _answer_refused(request: Request, refused: RefusedOperation) -> Response:
    if refused.has_wrong_type:
        return _refuse(request, _wrong_type(request))
    codes = {error["extensions"]["code"] for error in refused.errors}
    if RequestErrorCode.INTERNAL in codes:
        status = 500
    elif refused.is_rate_limited:
        status = 429
    elif preferred_answer(request.headers.get("accept")) is AnswerType.JSON:
        # The specification keeps 200 for this type: intermediaries answer with it, too.
        status = 200
    else:
        status = 400
    return _answer(request, refused.payload, status=status)


def _wrong_type(request: Request) -> RefusedRequestError:
    if request.method == "GET":
        return RefusedRequestError(
            "GET is for queries only; send mutations and subscriptions by POST.",
            status=405,
            headers={"Allow": "POST"},
        )
    return RefusedRequestError(
        "A subscription needs a stream: use a WebSocket with the subprotocol `graphql-transport-ws`, or "
        "`Accept: text/event-stream`."
    )


def _refuse(request: Request, refusal: RefusedRequestError) -> Response:
    return _answer(request, {"errors": [refusal.payload]}, status=refusal.status, headers=refusal.headers)
