"""What is remembered of a template and its builds, on disk too."""

import secrets
import string
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from runtime.host.start import Context, Start

ID_ALPHABET = string.ascii_lowercase + string.digits
BuildStatus = Literal["waiting", "building", "ready", "error"]


def new_template_id() -> str:
    """An id in E2B's form: 20 letters or digits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(20))


@dataclass(frozen=True)
class Reason:
    """Why a build failed; `step` is "base", a number from 1, or "finalize"."""

    message: str
    step: str | None = None


@dataclass
class Build:
    """One build of a template: asked for (waiting), under way (building), ready, or failed (error)."""

    id: str
    processors: float
    memory: int
    """In bytes."""
    created_at: datetime
    updated_at: datetime
    status: BuildStatus = "waiting"
    finished_at: datetime | None = None
    layers: list[str] = field(default_factory=list)
    """Topmost first; complete once it is ready."""
    context: Context = field(default_factory=Context)
    start: Start | None = None
    reason: Reason | None = None
    sandbox: str | None = None
    """The sandbox that it was captured from, where it is a snapshot."""

    @classmethod
    def new(cls, processors: float, memory: int) -> "Build":
        """A build that was asked for just now."""
        now = datetime.now(UTC)
        return cls(str(uuid.uuid4()), processors, memory, created_at=now, updated_at=now)

    @property
    def is_over(self) -> bool:
        """Whether it is ready or has failed."""
        return self.status in ("ready", "error")

    def begin(self) -> None:
        """It is under way."""
        self.status = "building"
        self.updated_at = datetime.now(UTC)

    def finish(self, reason: Reason | None = None) -> None:
        """It is ready, or failed for a reason."""
        self.status = "ready" if reason is None else "error"
        self.reason = reason
        self.finished_at = self.updated_at = datetime.now(UTC)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Build":
        """As it was stored."""
        reason, finished_at = stored["reason"], stored["finished_at"]
        return cls(
            **stored
            | {
                "created_at": _moment(stored["created_at"]),
                "updated_at": _moment(stored["updated_at"]),
                "finished_at": None if finished_at is None else _moment(finished_at),
                "context": Context(**stored["context"]),
                "start": Start.from_json(stored["start"]),
                "reason": None if reason is None else Reason(**reason),
            }
        )


@dataclass(frozen=True)
class Tag:
    """A tag that was given to a build; of several with one name, the last counts."""

    name: str
    build_id: str
    at: datetime


@dataclass
class Template:
    """A template with its builds, oldest first."""

    id: str
    team: str
    alias: str
    created_at: datetime
    updated_at: datetime
    public: bool = False
    builds: list[Build] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    spawned: int = 0
    spawned_at: datetime | None = None
    asked: int = 0
    """How many builds were ever asked for; old ones are forgotten."""

    @property
    def is_snapshot(self) -> bool:
        """Whether nobody ever built it: all that it has was captured from sandboxes."""
        return all(build.sandbox is not None for build in self.builds)

    def build(self, build_id: str) -> Build | None:
        """A build by its id."""
        return next((each for each in self.builds if each.id == build_id), None)

    def tagged(self, tag: str) -> Build | None:
        """The last build of a tag that is ready."""
        for each in reversed(self.tags):
            build = self.build(each.build_id) if each.name == tag else None
            if build is not None and build.status == "ready":
                return build
        return None

    def newest(self) -> Build:
        """The last ready build, or the last one where none is ready."""
        ready = [build for build in self.builds if build.status == "ready"]
        return (ready or self.builds)[-1]

    def current_tags(self) -> list[Tag]:
        """Each tag as it stands, the youngest first."""
        latest = {tag.name: tag for tag in self.tags if self.tagged(tag.name) is not None}
        return [
            Tag(name, build.id, tag.at)
            for name, tag in sorted(latest.items(), key=lambda item: item[1].at, reverse=True)
            if (build := self.tagged(name)) is not None
        ]

    def assign(self, build_id: str, names: list[str]) -> None:
        """Give tags to a build. Of those with the same names, what can't count any more is forgotten."""
        now = datetime.now(UTC)
        counts = {name: self.tagged(name) for name in names}
        self.tags = [
            tag for tag in self.tags if tag.name not in names or self._may_count(tag, counts[tag.name])
        ]
        self.tags += [Tag(name, build_id, now) for name in names]
        self.updated_at = now

    def _may_count(self, tag: Tag, ready: Build | None) -> bool:
        build = self.build(tag.build_id)
        return build is not None and (build is ready or not build.is_over)

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Template":
        """As it was stored."""
        spawned_at = stored["spawned_at"]
        return cls(
            **stored
            | {
                "created_at": _moment(stored["created_at"]),
                "updated_at": _moment(stored["updated_at"]),
                "builds": [Build.from_json(each) for each in stored["builds"]],
                "tags": [Tag(**each | {"at": _moment(each["at"])}) for each in stored["tags"]],
                "spawned_at": None if spawned_at is None else _moment(spawned_at),
            }
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
