"""Who asks: API keys, and the team that each of them stands for.

A team sees what is its own: every endpoint that finds, lists or makes something asks `team_of(request)`.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.control_plane.errors import refusal
from runtime.host.errors import MachineUnfitError
from runtime.host.record import DEFAULT_TEAM

OPEN_PATHS = ("/health",)
TEAM_KEY = "runtime.team"
TEAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
HOW = "Write RUNTIME_API_KEYS as team:key,team:key or as the path of a JSON file of teams and their keys."


def team_of(request: HTTPConnection) -> str:
    """The team whose key the request bears."""
    team: str = request.scope[TEAM_KEY]
    return team


class Keys:
    """The keys that open the door. They are held and compared as digests, all of them at every request."""

    def __init__(self, teams: Mapping[str, str]) -> None:
        """Of teams by key."""
        self._teams = {_digest(key): team for key, team in teams.items()}

    def team(self, given: str) -> str | None:
        """The team of a key; None for one that is nobody's. It takes as long for each."""
        digest, found = _digest(given), None
        for known, team in self._teams.items():
            if hmac.compare_digest(known, digest):
                found = team
        return found


def read_keys(text: str) -> dict[str, str]:
    """Teams by key, of `RUNTIME_API_KEYS`; raises MachineUnfitError where it makes no sense."""
    pairs = _of_file(Path(text)) if text.startswith("/") else _of_list(text)
    teams: dict[str, str] = {}
    for team, key in pairs:
        if not TEAM_NAME.fullmatch(team):
            raise MachineUnfitError(f"'{team}' is no name of a team (a-z, 0-9, - and _ are). {HOW}")
        if not key or teams.setdefault(key, team) != team:
            raise MachineUnfitError(f"Team '{team}' has an empty key, or one of another team. {HOW}")
    return teams


class RequireKey:
    """Answers 401 to requests without a known `X-API-Key`, and tells the others' team to the endpoints."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = HTTPConnection(scope).headers.get("x-api-key")
            if given is None:
                await refusal(401, "API key header is missing: send it as X-API-Key")(scope, receive, send)
                return
            team = self._keys.team(given)
            if team is None:
                message = "Cannot get the team for the given API key: it is none of this runtime's keys"
                await refusal(401, message)(scope, receive, send)
                return
            scope[TEAM_KEY] = team
        await self._app(scope, receive, send)


def default_keys(key: str) -> dict[str, str]:
    """One key alone, of the team `default`."""
    return {key: DEFAULT_TEAM}


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _of_list(text: str) -> list[tuple[str, str]]:
    pairs = (part.strip().partition(":") for part in text.split(",") if part.strip())
    return [(team, key) for team, _, key in pairs]


def _of_file(path: Path) -> list[tuple[str, str]]:
    try:
        teams = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MachineUnfitError(f"The keys in {path} can't be read ({error}). {HOW}") from error
    if not isinstance(teams, dict):
        raise MachineUnfitError(f"{path} holds no JSON object. {HOW}")
    lists = {team: keys if isinstance(keys, list) else [keys] for team, keys in teams.items()}
    if not all(isinstance(key, str) for keys in lists.values() for key in keys):
        raise MachineUnfitError(f"A key in {path} is no string. {HOW}")
    return [(team, key) for team, keys in lists.items() for key in keys]
