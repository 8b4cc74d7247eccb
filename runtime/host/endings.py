"""Sandboxes that have ended: whose they were and why they ended, kept on disk for a while."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from runtime.host.journal import Journal
from runtime.host.record import EndReason, SandboxRecord

KEPT = 1000


@dataclass(frozen=True)
class Ended:
    """A sandbox that was."""

    id: str
    team: str
    template: str
    reason: EndReason
    started_at: datetime
    ended_at: datetime


class Endings:
    """The last thousand that ended, none of them longer ago than the settings say.

    Their journals go with them.
    """

    def __init__(self, folder: Path, journal: Journal, kept_seconds: int) -> None:
        self._folder = folder
        self._journal = journal
        self._kept = timedelta(seconds=kept_seconds)
        self._ended: dict[str, Ended] = {}
        folder.mkdir(mode=0o700, exist_ok=True)
        self._load()

    def find(self, sandbox_id: str, team: str | None = None) -> Ended | None:
        """One that ended; for a team, only one of its own."""
        ended = self._ended.get(sandbox_id)
        return ended if ended is not None and team in (None, ended.team) else None

    def add(self, record: SandboxRecord, reason: EndReason) -> None:
        """Remember an end, before its traces are removed."""
        now = datetime.now(UTC)
        ended = Ended(record.id, record.team, record.template, reason, record.started_at, now)
        self._ended[record.id] = ended
        new = self._path(record.id).with_suffix(".new")
        # Where the disk is full, it is remembered as long as this process lives.
        with suppress(OSError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(asdict(ended)))
            new.replace(self._path(record.id))
        self._journal.write(record.id, "sandbox ended", reason=reason)
        self._forget_old()

    def sweep(self, alive: set[str]) -> None:
        """Remove journals of sandboxes that are neither alive nor remembered."""
        self._forget_old()
        for sandbox_id in self._journal.sandboxes() - alive - self._ended.keys():
            self._journal.remove(sandbox_id)

    def _forget_old(self) -> None:
        oldest = datetime.now(UTC) - self._kept
        while self._ended:
            first = next(iter(self._ended.values()))
            if len(self._ended) <= KEPT and first.ended_at >= oldest:
                return
            del self._ended[first.id]
            self._path(first.id).unlink(missing_ok=True)
            self._journal.remove(first.id)

    def _load(self) -> None:
        found = []
        for path in self._folder.iterdir():
            try:
                stored = orjson.loads(path.read_bytes())
                times = {name: datetime.fromisoformat(stored[name]) for name in ("started_at", "ended_at")}
                found.append(Ended(**stored | times))
            except (OSError, ValueError, KeyError, TypeError):
                path.unlink(missing_ok=True)
        self._ended = {ended.id: ended for ended in sorted(found, key=lambda each: each.ended_at)}

    def _path(self, sandbox_id: str) -> Path:
        return self._folder / f"{sandbox_id}.json"
