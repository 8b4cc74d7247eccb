"""The volumes on disk: `<folder>/<id>` with `volume.json`, for us alone, and `files`, what is mounted."""

import os
import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from runtime.host.layout import Layout
from runtime.layers.removing import remove_tree
from runtime.volumes.errors import InvalidVolumeError, VolumeInUseError, VolumeLimitError, VolumeNotFoundError
from runtime.volumes.tree import USER_ID

log = structlog.get_logger("runtime.volumes")

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


@dataclass(frozen=True)
class Volume:
    """A volume; its token opens its content, and nothing else."""

    id: str
    name: str
    team: str
    token: str
    created_at: datetime

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Volume":
        """As it was stored."""
        return cls(**stored | {"created_at": datetime.fromisoformat(stored["created_at"])})


class VolumeStore:
    """All volumes of this runtime; `mounted` gives the ids of those that some sandbox has."""

    def __init__(self, layout: Layout, limit: int, mounted: Callable[[], Iterable[str]]) -> None:
        self._layout = layout
        self._folder = layout.volumes
        self._limit = limit
        self._mounted = mounted
        self._volumes = {volume.id: volume for volume in self._load()}

    def files(self, volume_id: str) -> Path:
        """What is mounted. The host never follows a path below it."""
        return self._layout.volume_files(volume_id)

    def of_team(self, team: str) -> list[Volume]:
        """A team's volumes, the oldest first."""
        own = (volume for volume in self._volumes.values() if volume.team == team)
        return sorted(own, key=lambda volume: (volume.created_at, volume.id))

    def get(self, volume_id: str) -> Volume:
        """A volume of whatever team; raises `VolumeNotFoundError`."""
        volume = self._volumes.get(volume_id)
        if volume is None:
            raise VolumeNotFoundError(f"Volume {volume_id} not found")
        return volume

    def find(self, team: str, volume_id: str) -> Volume:
        """A team's volume; raises `VolumeNotFoundError`."""
        volume = self.get(volume_id)
        if volume.team != team:
            raise VolumeNotFoundError(f"Volume {volume_id} not found")
        return volume

    def named(self, team: str, name: str) -> Volume | None:
        """A team's volume of a name."""
        return next((volume for volume in self.of_team(team) if volume.name == name), None)

    def create(self, team: str, name: str) -> Volume:
        """An empty volume; its name is its team's alone to use once."""
        if not NAME.fullmatch(name):
            raise InvalidVolumeError("Invalid volume name: expected 1 to 128 letters, digits, '-' and '_'")
        if self.named(team, name) is not None:
            raise InvalidVolumeError(f"Volume with name '{name}' already exists")
        if len(self._volumes) >= self._limit:
            raise VolumeLimitError(f"there are {self._limit} volumes, as many as may be; destroy one first")
        token = "vol_" + secrets.token_hex(32)
        volume = Volume(str(uuid.uuid4()), name, team, token, datetime.now(UTC))
        self._make(volume)
        self._volumes[volume.id] = volume
        log.info("volume_created", volume=volume.id, team=team)
        return volume

    def destroy(self, team: str, volume_id: str) -> Callable[[], None]:
        """Forget a volume; gives what removes its files, which may take a while."""
        volume = self.find(team, volume_id)
        if volume.id in set(self._mounted()):
            raise VolumeInUseError(f"Volume '{volume.name}' is mounted in sandboxes; kill them first")
        folder = self._folder / volume.id
        gone = folder.rename(self._folder / f"old-{volume.id}")
        del self._volumes[volume.id]
        log.info("volume_destroyed", volume=volume.id, team=team)
        return lambda: remove_tree(gone)

    def _make(self, volume: Volume) -> None:
        new = self._folder / f"new-{volume.id}"
        (new / "files").mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            os.chown(new / "files", USER_ID, USER_ID)
        (new / "files").chmod(0o777)
        record = os.open(new / "volume.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(record, "wb") as file:
            file.write(orjson.dumps(asdict(volume)))
        new.rename(self._folder / volume.id)

    def _load(self) -> list[Volume]:
        volumes = []
        for folder in sorted(self._folder.iterdir()):
            if folder.name.startswith(("new-", "old-")):
                remove_tree(folder)
                continue
            try:
                volumes.append(Volume.from_json(orjson.loads((folder / "volume.json").read_bytes())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                # Its files may be dear to somebody.
                log.warning("volume_not_read", folder=str(folder), error=str(error))
        return volumes
