"""What E2B's clients send to the control plane, checked."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request

from runtime.host.errors import InvalidSandboxRequestError

BODY_LIMIT = 1 << 20
IDEMPOTENCY_KEY = r"^[a-z0-9-]{1,255}$"

B = TypeVar("B", bound=BaseModel)
Text = Annotated[str, StringConstraints(max_length=1 << 17)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$", max_length=1 << 12)]
VariableValue = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1 << 17)]
Seconds = Annotated[int, Field(ge=0, le=10**9)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AutoResume(_Body):
    """Whether a request to a paused sandbox wakes it."""

    enabled: bool = False


class NewSandbox(_Body):
    """A sandbox to be made; the names are E2B's."""

    templateID: str = Field(min_length=1, max_length=256)  # noqa: N815
    timeout: Seconds | None = None
    secure: bool = False
    autoPause: bool = False  # noqa: N815
    autoPauseMemory: bool = True  # noqa: N815
    autoResume: AutoResume = AutoResume()  # noqa: N815
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    metadata: dict[Text, Text] = {}
    envVars: dict[VariableName, VariableValue] = {}  # noqa: N815
    mcp: Any = None
    iam: Any = None
    volumeMounts: list[Any] | None = None  # noqa: N815


class Connecting(_Body):
    """Resume, or live on."""

    timeout: Seconds | None = None
    memory: bool = True


class Pausing(_Body):
    """How to pause."""

    memory: bool = True


class Timeout(_Body):
    """A new end, in seconds from now."""

    timeout: Seconds


class Refresh(_Body):
    """A new end, in seconds from now, as older clients ask for it."""

    duration: Seconds | None = None


class NetworkUpdate(_Body):
    """What a sandbox may reach from now on."""

    allow_internet_access: bool | None = None
    allowOut: Any = None  # noqa: N815
    denyOut: Any = None  # noqa: N815
    rules: Any = None
    dnsServers: Any = None  # noqa: N815
    egressProxy: Any = None  # noqa: N815


class Listing(_Body):
    """Which sandboxes to list."""

    metadata: str = ""
    state: str = "running,paused"
    order: Literal["asc", "desc"] = "desc"
    startedAfter: str | None = None  # noqa: N815
    template: str | None = None
    nextToken: str | None = None  # noqa: N815
    limit: int = Field(100, ge=1, le=100)


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
        raise InvalidSandboxRequestError(_explain(error)) from error


def read_query(request: Request, kind: type[B]) -> B:
    """The request's query parameters."""
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise InvalidSandboxRequestError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    problems = (
        f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}"
        for each in error.errors()[:5]
    )
    return f"The request can't be understood: {'; '.join(problems)}"
