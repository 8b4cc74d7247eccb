"""A sandbox's log as E2B's control plane shows it: what was done with it, and its processes."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import moment
from runtime.control_plane.bodies import Logs, OlderLogs, read_query
from runtime.control_plane.paths import sandbox_id
from runtime.control_plane.teams import team_of
from runtime.host.journal import Entry
from runtime.host.sandbox_host import SandboxHost

LEVELS = ("debug", "info", "warn", "error")
NANOSECONDS_OF_A_MILLISECOND = 1_000_000


class LogEndpoints:
    """Logs of sandboxes that are there, and of those that have ended not long ago."""

    def __init__(self, host: SandboxHost) -> None:
        self._host = host

    def routes(self) -> list[Route]:
        """The paths of both versions."""
        return [
            Route("/sandboxes/{id}/logs", self.older, methods=["GET"]),
            Route("/v2/sandboxes/{id}/logs", self.logs, methods=["GET"]),
        ]

    async def logs(self, request: Request) -> Response:
        """Entries from a time on, or backward from it, that hold a text and are of a level or above."""
        wanted = read_query(request, Logs)
        found = [
            entry
            for entry in self._entries(request)
            if LEVELS.index(entry.level) >= LEVELS.index(wanted.level) and wanted.search in entry.message
        ]
        backward = wanted.direction == "backward"
        if wanted.cursor is not None and backward:
            found = [entry for entry in found if _milliseconds(entry) <= wanted.cursor]
        elif wanted.cursor is not None:
            found = [entry for entry in found if _milliseconds(entry) >= wanted.cursor]
        if backward:
            found.reverse()
        return JSONResponse({"logs": [_structured(entry) for entry in found[: wanted.limit]]})

    async def older(self, request: Request) -> Response:
        """Version 1: the same entries as lines and with their fields."""
        wanted = read_query(request, OlderLogs)
        start = wanted.start or 0
        found = [each for each in self._entries(request) if _milliseconds(each) >= start][: wanted.limit]
        lines = [{"timestamp": _moment(entry), "line": _line(entry)} for entry in found]
        return JSONResponse({"logs": lines, "logEntries": [_structured(entry) for entry in found]})

    def _entries(self, request: Request) -> list[Entry]:
        named, team = sandbox_id(request), team_of(request)
        if self._host.endings.find(named, team) is None:
            self._host.find(named, team)
        return self._host.journal.read(named)


def _structured(entry: Entry) -> dict[str, Any]:
    return {
        "timestamp": _moment(entry),
        "level": entry.level,
        "message": entry.message,
        "fields": entry.fields,
    }


def _line(entry: Entry) -> str:
    return " ".join([entry.message, *(f"{name}={value}" for name, value in entry.fields.items())])


def _milliseconds(entry: Entry) -> int:
    return entry.at // NANOSECONDS_OF_A_MILLISECOND


def _moment(entry: Entry) -> str:
    return moment(datetime.fromtimestamp(entry.at / 1e9, UTC))
