"""What steps made, found again by the digest of all that they depend on."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog

from runtime.host.start import Context

log = structlog.get_logger("runtime.templates")

ENTRIES_LIMIT = 500


@dataclass(frozen=True)
class Result:
    """After a step: the layers, topmost first, and the context of the next one."""

    layers: tuple[str, ...]
    context: Context


class StepCache:
    """A file for each digest; the least used ones go first. Small files: reading one blocks for no time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True, mode=0o700)
        self._results: dict[str, Result] = {}
        for path in sorted(folder.iterdir(), key=_used):
            result = _read(path)
            if result is None:
                path.unlink()
            else:
                self._results[path.name] = result

    def find(self, digest: str) -> Result | None:
        """What a step made, if it is known."""
        result = self._results.pop(digest, None)
        if result is None:
            return None
        self._results[digest] = result
        os.utime(self._folder / digest)
        return result

    def keep(self, digest: str, result: Result) -> None:
        """Remember what a step made."""
        new = self._folder / f"{digest}.new"
        new.write_bytes(orjson.dumps(asdict(result)))
        new.replace(self._folder / digest)
        self._results.pop(digest, None)
        self._results[digest] = result
        for oldest in list(self._results)[: max(0, len(self._results) - ENTRIES_LIMIT)]:
            self.forget(oldest)

    def forget(self, digest: str) -> None:
        """Forget it, and so let its layers go where nobody else holds them."""
        self._results.pop(digest, None)
        (self._folder / digest).unlink(missing_ok=True)

    def layers(self) -> set[str]:
        """All layers that some result needs."""
        return {layer for result in self._results.values() for layer in result.layers}


def _read(path: Path) -> Result | None:
    if path.suffix:  # half written by a runtime that was killed
        return None
    try:
        stored = orjson.loads(path.read_bytes())
        return Result(tuple(stored["layers"]), Context(**stored["context"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("cached_step_not_read", path=str(path), error=str(error))
        return None


def _used(path: Path) -> float:
    return path.stat().st_mtime
