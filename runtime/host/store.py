"""The sandboxes' folders on disk, and the record in each."""

import os
import shutil
from pathlib import Path

import orjson
import structlog

from runtime.host.disk.disks import Disks
from runtime.host.disk.use import DiskUse
from runtime.host.layout import TREES, Layout
from runtime.host.record import SandboxRecord
from runtime.inside.refusals import RefusalError
from runtime.inside.trees import remove

log = structlog.get_logger("runtime.store")


class Store:
    """Folders `<sandboxes>/<id>` with `meta.json`, `control` (the supervisor's socket) and `data`.

    In `data` lie the upper and work folders of the sandbox's overlays: `up/root` holds what it has changed
    below `/`, `up/usr` what below `/usr`. Owners there are those seen inside, 0 for root.
    """

    def __init__(self, layout: Layout, disks: Disks) -> None:
        self._sandboxes = layout.sandboxes
        self._disks = disks
        self.unreadable: list[Path] = []
        """Folders of sandboxes whose records could not be read; what they need is unknown."""

    @property
    def own_file_systems(self) -> bool:
        """Whether each sandbox's files lie in a file system of its own."""
        return self._disks.bound.firm

    def folder(self, sandbox_id: str) -> Path:
        """A sandbox's folder."""
        return self._sandboxes / sandbox_id

    def data(self, sandbox_id: str) -> Path:
        """What the sandbox has written. The host never follows a path below it."""
        return self.folder(sandbox_id) / "data"

    def control(self, sandbox_id: str) -> Path:
        """The socket of its supervisor."""
        return self.folder(sandbox_id) / "control"

    def make(self, record: SandboxRecord) -> None:
        """The folder of a new sandbox, with nothing written yet."""
        self.folder(record.id).mkdir(mode=0o700)
        self.data(record.id).mkdir(mode=0o755)
        self._disks.make(self.folder(record.id), self.data(record.id), record.limits.disk)
        for kind in ("up", "work"):
            for tree in TREES:
                (self.data(record.id) / kind / tree).mkdir(parents=True, mode=0o755)
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
        """Every record that can be read; a folder that has none was never a sandbox, and is removed."""
        records = []
        for folder in sorted(self._sandboxes.iterdir()):
            try:
                records.append(SandboxRecord.from_json(orjson.loads((folder / "meta.json").read_bytes())))
            except FileNotFoundError:
                log.warning("folder_without_record_removed", folder=str(folder))
                remove_tree(folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                # What hinders us may pass or be mended; a sandbox's files, once removed, are gone for good.
                advice = "mend its meta.json, or remove the folder, and start the runtime again"
                log.warning("unreadable_sandbox_kept", folder=str(folder), error=repr(error), advice=advice)
                self.unreadable.append(folder)
            else:
                self._take_up(folder.name)
        return records

    def _take_up(self, sandbox_id: str) -> None:
        """A sandbox whose files can't be reached is kept: whoever resumes it learns why."""
        try:
            self._disks.take_up(self.folder(sandbox_id), self.data(sandbox_id))
        except OSError as error:
            log.warning("files_of_sandbox_not_reachable", sandbox=sandbox_id, error=str(error))

    def free_bytes(self) -> int:
        """Room for all sandboxes' files together."""
        return shutil.disk_usage(self._sandboxes).free

    def disk_use(self, record: SandboxRecord) -> DiskUse:
        """What a sandbox's own files take; may block for seconds where there are very many."""
        return self._disks.use(self.data(record.id), record.limits.disk)

    def remove(self, sandbox_id: str) -> None:
        """Remove a sandbox's files; blocks for as long as that takes."""
        self._disks.release(self.data(sandbox_id))
        remove_tree(self.folder(sandbox_id))


def remove_tree(folder: Path) -> None:
    """Remove a folder that no process uses, however deep it is and whatever rights a sandbox gave to it."""
    try:
        remove(os.fsencode(folder))
    except RefusalError as error:
        log.warning("folder_not_removed", folder=str(folder), error=error.message.decode(errors="replace"))
