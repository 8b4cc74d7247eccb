"""Requests that are refused, and how the endpoints beside GraphQL say so.

They answer errors in the response format of GraphQL, so that a client reads both in the same way.
"""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commandcenter.errors import DomainError, ErrorCode
from commandcenter.files.errors import ExpiredFileLinkError
from web.graphql.errors import Payload, RequestErrorCode, domain_error, error_payload, internal_error

_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.INVALID: 400,
    ErrorCode.CONFLICT: 409,
    ErrorCode.WRONG_STATE: 409,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.QUOTA_EXCEEDED: 507,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.PROVIDER_UNAVAILABLE: 503,
    ErrorCode.PROVIDER_NOT_CONFIGURED: 503,
}


class RefusedRequestError(Exception):
    """The request is none that is answered here; says why, and with which HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: RequestErrorCode = RequestErrorCode.BAD_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.payload = error_payload(code, message)


def answering(
    handle: Callable[[Request], Awaitable[ASGIApp]],
) -> Callable[[Request], Awaitable[ASGIApp]]:
    """An endpoint whose errors become answers: those of the caller in full, those of ours masked."""

    async def answer(request: Request) -> ASGIApp:
        try:
            return await handle(request)
        except RefusedRequestError as refusal:
            return _refuse(refusal.status, refusal.payload, refusal.headers)
        except DomainError as error:
            return _refuse(_status_of(error), domain_error(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:
            return _refuse(500, internal_error(error, endpoint=request.url.path.split("/")[1]))

    return answer


def _status_of(error: DomainError) -> int:
    return 410 if isinstance(error, ExpiredFileLinkError) else _STATUSES[error.code]


def _refuse(status: int, payload: Payload, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps({"errors": [payload]}),
        status_code=status,
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **(headers or {}),
        },
    )
