"""The sandboxes' folders on disk, and the record in each."""

import os
import shutil
from pathlib import Path

import orjson
import structlog

from runtime.host.layout import Layout
from runtime.host.record import SandboxRecord

log = structlog.get_logger("runtime.store")


class Store:
    """Folders `<sandboxes>/<id>` with `meta.json`, `control` (the supervisor's socket) and `home`."""

    def __init__(self, layout: Layout) -> None:
        self._sandboxes = layout.sandboxes

    def folder(self, sandbox_id: str) -> Path:
        """A sandbox's folder."""
        return self._sandboxes / sandbox_id

    def home(self, sandbox_id: str) -> Path:
        """What the sandbox sees as /home/user. The host never follows a path below it."""
        return self.folder(sandbox_id) / "home"

    def control(self, sandbox_id: str) -> Path:
        """The socket of its supervisor."""
        return self.folder(sandbox_id) / "control"

    def make(self, record: SandboxRecord) -> None:
        """The folder of a new sandbox, with its home."""
        folder = self.folder(record.id)
        folder.mkdir(mode=0o710)
        home = self.home(record.id)
        home.mkdir(mode=0o755)
        if record.user_id is not None:
            os.chown(home, record.user_id, record.user_id)
            # No other user of the machine passes through, not even one who knows the id.
            os.chown(folder, 0, record.user_id)
        self.save(record)

    def save(self, record: SandboxRecord) -> None:
        """Write the record in one step: a reader finds the old one or the new one, whole."""
        folder = self.folder(record.id)
        new = folder / "meta.json.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(record.to_json()))
        new.replace(folder / "meta.json")

    def load_all(self) -> list[SandboxRecord]:
        """Every record; a folder without a readable one is no sandbox, and removed."""
        records = []
        for folder in sorted(self._sandboxes.iterdir()):
            try:
                records.append(SandboxRecord.from_json(orjson.loads((folder / "meta.json").read_bytes())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("sandbox_without_record_removed", folder=str(folder), error=str(error))
                shutil.rmtree(folder, ignore_errors=True)
        return records

    def free_bytes(self) -> int:
        """Room for all sandboxes' files together."""
        return shutil.disk_usage(self._sandboxes).free

    def remove(self, sandbox_id: str) -> None:
        """Remove a sandbox's files; blocks for as long as that takes."""
        shutil.rmtree(self.folder(sandbox_id), ignore_errors=True)
