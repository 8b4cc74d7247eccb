"""Errors as E2B's control plane tells them: a status, and `{"code", "message"}`."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtime.host.errors import (
    HostError,
    HostStoppingError,
    IdempotencyMismatchError,
    InvalidSandboxRequestError,
    MachineUnfitError,
    SandboxConflictError,
    SandboxGoneError,
    SandboxLimitError,
    SandboxNotFoundError,
    SandboxUnresponsiveError,
    TemplateNotFoundError,
)
from runtime.host.starting import NotReadyError
from runtime.layers.errors import CaptureTooSlowError, DiskFullError
from runtime.secrets import SecretExistsError, SecretLimitError, SecretNotFoundError
from runtime.templates.errors import (
    BuildLimitError,
    BuildNotFoundError,
    InvalidTemplateError,
    TemplateInUseError,
    TemplateTakenError,
    UploadRefusedError,
)
from runtime.volumes.errors import (
    InvalidVolumeError,
    PathNotFoundError,
    PathRefusedError,
    PathTakenError,
    VolumeInUseError,
    VolumeLimitError,
    VolumeNotFoundError,
    VolumeTokenError,
)

STATUS_BY_ERROR: dict[type[HostError], int] = {
    InvalidSandboxRequestError: HTTPStatus.BAD_REQUEST,
    SandboxNotFoundError: HTTPStatus.NOT_FOUND,
    TemplateNotFoundError: HTTPStatus.NOT_FOUND,
    SandboxConflictError: HTTPStatus.CONFLICT,
    IdempotencyMismatchError: HTTPStatus.UNPROCESSABLE_ENTITY,
    SandboxLimitError: HTTPStatus.TOO_MANY_REQUESTS,
    HostStoppingError: HTTPStatus.SERVICE_UNAVAILABLE,
    SandboxGoneError: HTTPStatus.SERVICE_UNAVAILABLE,
    SandboxUnresponsiveError: HTTPStatus.SERVICE_UNAVAILABLE,
    SecretNotFoundError: HTTPStatus.NOT_FOUND,
    SecretExistsError: HTTPStatus.CONFLICT,
    SecretLimitError: HTTPStatus.FORBIDDEN,
    InvalidTemplateError: HTTPStatus.BAD_REQUEST,
    TemplateInUseError: HTTPStatus.BAD_REQUEST,
    TemplateTakenError: HTTPStatus.FORBIDDEN,
    BuildNotFoundError: HTTPStatus.NOT_FOUND,
    BuildLimitError: HTTPStatus.TOO_MANY_REQUESTS,
    UploadRefusedError: HTTPStatus.BAD_REQUEST,
    NotReadyError: HTTPStatus.INTERNAL_SERVER_ERROR,
    VolumeNotFoundError: HTTPStatus.NOT_FOUND,
    VolumeTokenError: HTTPStatus.UNAUTHORIZED,
    InvalidVolumeError: HTTPStatus.BAD_REQUEST,
    VolumeInUseError: HTTPStatus.CONFLICT,
    VolumeLimitError: HTTPStatus.TOO_MANY_REQUESTS,
    PathNotFoundError: HTTPStatus.NOT_FOUND,
    PathTakenError: HTTPStatus.CONFLICT,
    PathRefusedError: HTTPStatus.FORBIDDEN,
    DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    CaptureTooSlowError: HTTPStatus.SERVICE_UNAVAILABLE,
    MachineUnfitError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(error: Exception) -> int:
    """The status that tells a client of an error."""
    return next((code for kind, code in STATUS_BY_ERROR.items() if isinstance(error, kind)), 500)


def refusal(status: int, message: str, code: str | None = None) -> Response:
    """An error's response. Its client must not try again by itself: a second try would do no better."""
    headers = {"Should-Retry": "false"}
    body = {"code": int(status), "message": message} | ({"error_code": code} if code else {})
    return JSONResponse(body, status, headers=headers)


async def answer_host_error(_: Request, error: Exception) -> Response:
    """Starlette's handler for the host's errors."""
    return refusal(status_of(error), str(error), error.code if isinstance(error, HostError) else None)
