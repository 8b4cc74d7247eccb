"""What is remembered of a sandbox, on disk too, so that a restarted runtime knows it."""

import secrets
import string
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from runtime.host.launch import Pid1
from runtime.host.start import Start
from runtime.host.stored import known_fields

DEFAULT_TEAM = "default"
ID_ALPHABET = string.ascii_lowercase + string.digits
State = Literal["running", "paused"]
PauseMode = Literal["full", "filesystem"]
EndReason = Literal["KILLED", "EXPIRED", "OUT_OF_MEMORY", "CRASHED"]


def new_sandbox_id() -> str:
    """An id in E2B's form: `i` and 19 letters or digits, safe in a host name."""
    return "i" + "".join(secrets.choice(ID_ALPHABET) for _ in range(19))


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use; sizes in bytes, 0 for what is not bounded."""

    processors: float
    memory: int
    processes: int
    open_files: int
    disk: int = 0
    """Of its own files; those of its template don't count."""
    output_rate: int = 0
    """Bytes a second of all its processes' output together."""

    @property
    def scratch(self) -> int:
        """Size of /tmp in bytes: its pages count as memory, so a quarter at most."""
        return min(self.memory // 4, 1 << 30)

    @property
    def shared_memory(self) -> int:
        """Size of /dev/shm in bytes."""
        return min(self.memory // 8, 1 << 28)


@dataclass(frozen=True)
class VolumeMount:
    """A volume that a sandbox sees at a path; the name is the one that it was asked for by."""

    volume_id: str
    name: str
    path: str


@dataclass
class SandboxRecord:
    """A sandbox as its maker asked for it and as it stands."""

    id: str
    template: str
    """The id of what it was made from."""
    limits: Limits
    started_at: datetime
    end_at: datetime
    user_id: int | None
    """The first of its host ids, as root."""
    access_token: str
    traffic_token: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    """What its files lie upon, topmost first, above the skeleton that all have."""
    volumes: list[VolumeMount] = field(default_factory=list)
    """Mounted in this order."""
    user: str = "user"
    """Who runs a command that names nobody."""
    directory: str | None = None
    """Where a command runs that names no folder; the user's home where this is None."""
    auto_pause: bool = False
    auto_pause_memory: bool = True
    auto_resume: bool = False
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    alias: str = ""
    """The name of what it was made from."""
    start: Start | None = None
    """What runs in it by itself, whenever it begins anew."""
    team: str = DEFAULT_TEAM
    """Whose it is: no other team's key finds it."""
    idempotency_key: str | None = None
    idempotency_digest: str | None = None
    """Of the request that the key stood for."""
    lifetime: int = 300
    """Seconds that it was made for."""
    state: State = "running"
    pause_mode: PauseMode = "full"
    paused_at: datetime | None = None
    interrupted: bool = False
    """Paused because the runtime stopped, not because anyone asked: its time still runs out."""
    frozen: bool = False
    """Its processes may not stand or run as the state says: they are being stopped, copied or continued."""
    is_warm: bool = False
    """Started before anybody asked for it: nobody's yet, so a restarted runtime ends it."""
    pid1: Pid1 | None = None
    """The supervisor while there is one; a sandbox paused with files only has none."""
    programs: str = ""
    """The folder of the staged copies that the supervisor runs on."""

    @property
    def wakes_by_itself(self) -> bool:
        """Whether a request to it, paused as it is, resumes it."""
        by_request = self.pause_mode == "full" or self.interrupted
        return self.state == "paused" and self.auto_resume and by_request

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "SandboxRecord":
        """As it was stored, by this version or another; raises KeyError, TypeError or ValueError for less."""
        pid1, paused_at = stored.get("pid1"), stored.get("paused_at")
        return cls(
            **known_fields(cls, stored)
            | {
                "limits": Limits(**known_fields(Limits, stored["limits"])),
                "started_at": datetime.fromisoformat(stored["started_at"]).astimezone(UTC),
                "end_at": datetime.fromisoformat(stored["end_at"]).astimezone(UTC),
                "paused_at": None if paused_at is None else datetime.fromisoformat(paused_at),
                "volumes": [VolumeMount(**mount) for mount in stored.get("volumes", ())],
                "start": Start.from_json(stored.get("start")),
                "pid1": None if pid1 is None else Pid1(**pid1),
            }
        )
