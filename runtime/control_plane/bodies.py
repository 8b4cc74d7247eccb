"""What E2B's clients send to the control plane, checked."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from runtime.host.errors import InvalidSandboxRequestError

BODY_LIMIT = 1 << 20
BODY_READ = 16 << 20
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


class WantedVolume(_Body):
    """A volume to be mounted in a sandbox."""

    name: str = Field(max_length=256)
    path: str = Field(max_length=4096)


class NewSandbox(_Body):
    """A sandbox to be made; the names are E2B's."""

    templateID: str = Field(min_length=1, max_length=256)  # noqa: N815
    timeout: Seconds | None = None
    autoPause: bool = False  # noqa: N815
    autoPauseMemory: bool = True  # noqa: N815
    autoResume: AutoResume = AutoResume()  # noqa: N815
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    metadata: dict[Text, Text] = {}
    envVars: dict[VariableName, VariableValue] = {}  # noqa: N815
    mcp: Any = None
    iam: Any = None
    volumeMounts: list[WantedVolume] | None = None  # noqa: N815


class Connecting(_Body):
    """Resume, or live on."""

    timeout: Seconds | None = None
    memory: bool = True


class Resuming(Connecting):
    """Resume, as version 1 asks; it may also say anew what happens at the end."""

    autoPause: bool | None = None  # noqa: N815


class Pausing(_Body):
    """How to pause."""

    memory: bool = True
    requireHealthyGuest: bool = False  # noqa: N815


class Snapshotting(_Body):
    """A snapshot to be made. Of memory there is none, whatever is asked."""

    name: str | None = Field(None, max_length=512)


class Forking(_Body):
    """Sandboxes to be made of one; the timeout is in seconds."""

    timeout: Seconds = 15
    count: int = 1


class NewVolume(_Body):
    """A volume to be made."""

    name: str = Field(max_length=256)


class VolumePath(_Body):
    """A path in a volume."""

    path: str = Field(max_length=8192)


class VolumeListing(VolumePath):
    """A folder of a volume to be listed."""

    depth: int = Field(1, ge=0, le=1000)


class VolumeOwner(_Body):
    """Whose something in a volume is to be, by the ids inside."""

    uid: int | None = Field(None, ge=0, le=65_535)
    gid: int | None = Field(None, ge=0, le=65_535)
    mode: int | None = Field(None, ge=0, le=0o7777)


class VolumeFolder(VolumePath, VolumeOwner):
    """A folder or file of a volume to be made; `force` makes those above it, and replaces a file."""

    force: bool = False


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


class Paging(_Body):
    """Which part of a list."""

    nextToken: str | None = None  # noqa: N815
    limit: int = Field(100, ge=1, le=100)


class SnapshotListing(Paging):
    """Which snapshots to list."""

    sandboxID: str | None = Field(None, max_length=256)  # noqa: N815
    name: str | None = Field(None, max_length=512)


class Listing(Paging):
    """Which sandboxes to list."""

    metadata: str = ""
    state: str = "running,paused"
    order: Literal["asc", "desc"] = "desc"
    startedAfter: str | None = None  # noqa: N815
    template: str | None = None


class Logs(_Body):
    """Which of a sandbox's log entries; the cursor is a time in milliseconds since the epoch."""

    cursor: int | None = Field(None, ge=0)
    limit: int = Field(1000, ge=0, le=1000)
    direction: Literal["forward", "backward"] = "forward"
    level: Literal["debug", "info", "warn", "error"] = "debug"
    search: str = Field("", max_length=256)


class OlderLogs(_Body):
    """Which of a sandbox's log entries, as version 1 asks; the start is in milliseconds too."""

    start: int | None = Field(None, ge=0)
    limit: int = Field(1000, ge=0, le=1000)


async def read_body(request: Request, kind: type[B]) -> B:
    """The request's body; what is wrong with it is told by field."""
    seconds: int = request.app.state.request_seconds
    try:
        async with asyncio.timeout(seconds):
            body = await _whole_body(request)
    except TimeoutError:
        message = f"The body did not arrive within {seconds} s."
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, message, {"Connection": "close"}) from None
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidSandboxRequestError(_explain(error)) from error


def read_query(request: Request, kind: type[B]) -> B:
    """The request's query parameters."""
    try:
        # A list may come as one value with commas or as several.
        query = {name: ",".join(request.query_params.getlist(name)) for name in request.query_params}
        return kind.model_validate(query)
    except ValidationError as error:
        raise InvalidSandboxRequestError(_explain(error)) from error


async def _whole_body(request: Request) -> bytes:
    # A client that is still writing reads no answer: so much is taken before it gets one.
    body, size = bytearray(), 0
    async for part in request.stream():
        size += len(part)
        if size <= BODY_LIMIT:
            body += part
        elif size > BODY_READ:
            break
    if size > BODY_LIMIT:
        message = f"The body is larger than {BODY_LIMIT} bytes."
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, {"Connection": "close"})
    return bytes(body)


def _explain(error: ValidationError) -> str:
    problems = (
        f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}"
        for each in error.errors()[:5]
    )
    return f"The request can't be understood: {'; '.join(problems)}"
