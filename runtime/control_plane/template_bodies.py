"""What E2B's clients send about templates, checked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from runtime.templates.definition import Definition, Step
from runtime.templates.logs import PAGE_LIMIT, Level

MEMORY_LEAST = 128
"""In mebibytes."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Tag = Annotated[str, StringConstraints(max_length=300)]
Argument = Annotated[str, StringConstraints(max_length=1 << 18)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class NewBuild(_Body):
    """A build to come; `alias` is what older clients call the name."""

    name: Name | None = None
    alias: Name | None = None
    tags: list[Tag] = Field([], max_length=100)
    cpuCount: int | None = Field(None, ge=1)  # noqa: N815
    memoryMB: int | None = Field(None, ge=MEMORY_LEAST)  # noqa: N815


class TemplateStep(_Body):
    """One instruction."""

    type: str
    args: list[Argument] = []
    filesHash: str | None = None  # noqa: N815
    force: bool = False


class BuildStart(_Body):
    """What to build."""

    fromImage: str | None = None  # noqa: N815
    fromTemplate: str | None = None  # noqa: N815
    fromImageRegistry: dict[str, Any] | None = None  # noqa: N815
    force: bool = False
    steps: list[TemplateStep] = []
    startCmd: Argument | None = None  # noqa: N815
    readyCmd: Argument | None = None  # noqa: N815

    def definition(self) -> Definition:
        """As the builder takes it; raises `InvalidTemplateError`."""
        return Definition(
            steps=tuple(
                Step.of(step.type, tuple(step.args), step.filesHash, force=step.force) for step in self.steps
            ),
            image=self.fromImage or None,
            template=self.fromTemplate or None,
            start=self.startCmd or None,
            ready=self.readyCmd or None,
            force=self.force,
        )


class TagsToAssign(_Body):
    """Tags for the build that a `name:tag` means."""

    target: Name
    tags: list[Tag] = Field(max_length=100)


class TagsToRemove(_Body):
    """Tags of a template."""

    name: Name
    tags: list[Tag] = Field(max_length=100)


class TemplateUpdate(_Body):
    """Who may use a template."""

    public: bool | None = None


class Page(_Body):
    """A page of a list; the token is the number of the first entry."""

    nextToken: int = Field(0, ge=0, le=10**9)  # noqa: N815
    limit: int = Field(100, ge=1, le=100)


class StatusQuery(_Body):
    """Which log entries come with a build's status."""

    logsOffset: int = Field(0, ge=0, le=10**9)  # noqa: N815
    limit: int = Field(PAGE_LIMIT, ge=0, le=PAGE_LIMIT)
    level: Level = "debug"


class BuildLogsQuery(_Body):
    """Which log entries; the cursor is a time in milliseconds since the epoch."""

    cursor: int | None = Field(None, ge=0, le=10**15)
    limit: int = Field(PAGE_LIMIT, ge=0, le=PAGE_LIMIT)
    direction: Literal["forward", "backward"] = "forward"
    level: Level = "debug"
