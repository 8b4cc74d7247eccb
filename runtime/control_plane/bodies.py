"""What E2B's clients send to the control plane, checked."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from runtime.host.errors import InvalidSandboxRequestError

BODY_LIMIT = 1 << 20

B = TypeVar("B", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AutoResume(_Body):
    """Whether a request to a paused sandbox wakes it."""

    enabled: bool = False


class NewSandbox(_Body):
    """A sandbox to be made; the names are E2B's."""

    templateID: str = Field(min_length=1, max_length=256)  # noqa: N815
    timeout: int | None = Field(None, ge=0)
    secure: bool = False
    autoPause: bool = False  # noqa: N815
    autoPauseMemory: bool = True  # noqa: N815
    autoResume: AutoResume = AutoResume()  # noqa: N815
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    metadata: dict[str, str] = {}
    envVars: dict[str, str] = {}  # noqa: N815


async def read_body(request: Request, kind: type[B]) -> B:
    """The request's body; what is wrong with it is told by field."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            raise InvalidSandboxRequestError(f"The body is larger than {BODY_LIMIT} bytes.")
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}"
            for each in error.errors()[:5]
        )
        raise InvalidSandboxRequestError(f"The request can't be understood: {problems}") from error
