"""The log of a build: entries in their order, given out from an offset while it grows, kept on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

Level = Literal["debug", "info", "warn", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")
PAGE_LIMIT = 100
ENTRIES_LIMIT = 20_000
BYTES_LIMIT = 8 << 20
LINE_LIMIT = 8 << 10


@dataclass(frozen=True)
class LogEntry:
    """One line; `step` is "base", a step's number from 1, or "finalize"."""

    timestamp: str
    level: Level
    message: str
    step: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As E2B's clients read it."""
        entry: dict[str, Any] = {
            "timestamp": self.timestamp, "level": self.level, "message": self.message
        }  # fmt: skip
        return entry if self.step is None else entry | {"step": self.step}


class BuildLog:
    """A log that is being written. Past its bounds it takes no more output, but still what matters."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.entries: list[LogEntry] = []
        self._bytes = 0
        self._cut = False

    def write(self, message: str, *, level: Level = "info", step: str | None = None) -> None:
        """Add a line of the builder's own."""
        if len(message) > LINE_LIMIT:
            message = message[:LINE_LIMIT] + " …"
        entry = LogEntry(_now(), level, message, step)
        encoded = orjson.dumps(entry.to_json()) + b"\n"
        self.entries.append(entry)
        self._bytes += len(encoded)
        os.write(self._file, encoded)

    def write_output(self, line: str, *, step: str, level: Level = "info") -> None:
        """Add a line that a command wrote, if there is still room."""
        if len(self.entries) < ENTRIES_LIMIT and self._bytes < BYTES_LIMIT:
            self.write(line, level=level, step=step)
        elif not self._cut:
            self._cut = True
            self.write("The rest of the output is left out: the log is full.", level="warn", step=step)

    def close(self) -> None:
        """Nothing more will come."""
        os.close(self._file)


def read_log(path: Path) -> list[LogEntry]:
    """The log of a build that is over; blocks while it reads, and is empty where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]  # a killed runtime may have left half a line
    return [LogEntry(**orjson.loads(line)) for line in whole.splitlines()]


def of_level(entries: Sequence[LogEntry], least: Level) -> Sequence[LogEntry]:
    """Those of at least a level."""
    wanted = LEVELS[LEVELS.index(least) :]
    return entries if len(wanted) == len(LEVELS) else [each for each in entries if each.level in wanted]


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
