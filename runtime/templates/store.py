"""Templates on disk: `<folder>/<template id>/template.json`, and the builds' logs beside it."""

import os
import shutil
from pathlib import Path

import orjson
import structlog

from runtime.templates.record import Template

log = structlog.get_logger("runtime.templates")


class TemplateStore:
    """The folders, for us alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True, mode=0o700)

    def log_path(self, template_id: str, build_id: str) -> Path:
        """Where a build's log lies."""
        return self._folder / template_id / f"{build_id}.log"

    def save(self, template: Template) -> None:
        """Write it in one step: a reader finds the old one or the new one, whole."""
        folder = self._folder / template.id
        folder.mkdir(exist_ok=True, mode=0o700)
        new = folder / "template.json.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(template.to_json()))
        new.replace(folder / "template.json")

    def load_all(self) -> list[Template]:
        """Every template; a folder without a readable one is left as it is, and told."""
        templates = []
        for folder in sorted(self._folder.iterdir()):
            try:
                templates.append(Template.from_json(orjson.loads((folder / "template.json").read_bytes())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("template_not_read", folder=str(folder), error=str(error))
        return templates

    def remove(self, template_id: str) -> None:
        """Remove a template and its logs."""
        shutil.rmtree(self._folder / template_id, ignore_errors=True)
