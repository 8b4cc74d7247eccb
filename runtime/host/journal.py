"""What happened to a sandbox, in its own words: lines on disk, the newest of them, for a while after its end.

Each sandbox has a file `<id>.log` with an entry of JSON a line. Where that grows past its bound, it
becomes `<id>.log.1`, and what was there before goes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from runtime.host.process import Process

Level = Literal["debug", "info", "warn", "error"]

FILE_LIMIT = 128 * 1024
FIELD_LIMIT = 1000


@dataclass(frozen=True)
class Entry:
    """Something that happened; `at` is in nanoseconds since the epoch."""

    at: int
    level: Level
    message: str
    fields: dict[str, str]


class Journal:
    """The journals of all sandboxes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, sandbox_id: str, message: str, *, level: Level = "info", **fields: object) -> None:
        """Add an entry. A full disk loses it, and never stops what it tells of."""
        told = {name: str(value)[:FIELD_LIMIT] for name, value in fields.items()}
        entry = Entry(time.time_ns(), level, message, told)
        path = self._path(sandbox_id)
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
                full = os.fstat(descriptor).st_size > FILE_LIMIT
            finally:
                os.close(descriptor)
            if full:
                path.replace(self._older(sandbox_id))

    def read(self, sandbox_id: str) -> list[Entry]:
        """Every entry that is kept, the oldest first."""
        return [
            entry for path in (self._older(sandbox_id), self._path(sandbox_id)) for entry in _entries_of(path)
        ]

    def remove(self, sandbox_id: str) -> None:
        """Forget a sandbox."""
        for path in (self._path(sandbox_id), self._older(sandbox_id)):
            path.unlink(missing_ok=True)

    def sandboxes(self) -> set[str]:
        """The ids of those that have a journal."""
        return {path.name.partition(".")[0] for path in self._folder.iterdir()}

    def _path(self, sandbox_id: str) -> Path:
        return self._folder / f"{sandbox_id}.log"

    def _older(self, sandbox_id: str) -> Path:
        return self._folder / f"{sandbox_id}.log.1"


def tell_of_process(journal: Journal, sandbox_id: str, process: Process) -> None:
    """That a process was started, or how it ended."""
    request, ending = process.request, process.ending
    if ending is None:
        command = " ".join((request.command, *request.arguments))
        journal.write(sandbox_id, "process started", pid=process.pid, command=command)
    else:
        level: Level = "info" if ending.exit_code == 0 else "warn"
        reason = process.end_reason or ending.status
        journal.write(sandbox_id, "process ended", level=level, pid=process.pid, reason=reason)


def _entries_of(path: Path) -> Iterator[Entry]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        # A machine that lost its power may leave half a line.
        with suppress(orjson.JSONDecodeError, TypeError):
            yield Entry(**orjson.loads(line))
