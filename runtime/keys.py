"""API keys, and the team that each of them stands for."""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from runtime.host.errors import MachineUnfitError
from runtime.host.layout import Layout
from runtime.host.record import DEFAULT_TEAM
from runtime.settings import RuntimeSettings

TEAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
HOW = "Write RUNTIME_API_KEYS as team:key,team:key or as the path of a JSON file of teams and their keys."


class Keys:
    """The keys that open the door. They are held and compared as digests, all of them at every request."""

    def __init__(self, teams: Mapping[str, str]) -> None:
        """Of teams by key."""
        self._teams = {_digest(key): team for key, team in teams.items()}

    def team(self, given: str) -> str | None:
        """The team of a key; None for one that is nobody's, or empty. It takes as long for each."""
        digest, found = _digest(given), None
        for known, team in self._teams.items():
            if hmac.compare_digest(known, digest):
                found = team
        return found if given else None


def teams_by_key(settings: RuntimeSettings, layout: Layout) -> dict[str, str]:
    """The teams of the keys that were given; where none was, of one made here."""
    return given_keys(settings) or {_own_key(layout): DEFAULT_TEAM}


def given_keys(settings: RuntimeSettings) -> dict[str, str]:
    """The teams of the keys that were given; raises MachineUnfitError where they make no sense."""
    pairs = []
    if settings.api_key is not None:
        pairs.append((DEFAULT_TEAM, settings.api_key.get_secret_value()))
    if settings.api_keys is not None:
        text = settings.api_keys.get_secret_value()
        pairs += _of_file(Path(text)) if text.startswith("/") else _of_list(text)
    teams: dict[str, str] = {}
    for team, key in pairs:
        if not TEAM_NAME.fullmatch(team):
            raise MachineUnfitError(f"'{team}' is no name of a team (a-z, 0-9, - and _ are). {HOW}")
        if not key or teams.setdefault(key, team) != team:
            raise MachineUnfitError(f"Team '{team}' has an empty key, or one of another team. {HOW}")
    return teams


def _own_key(layout: Layout) -> str:
    """A key made once, for this user's eyes alone."""
    if not layout.key_file.exists():
        # In one step: a file that was cut short would stand for a key that everybody knows.
        new = layout.key_file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("e2b_" + secrets.token_hex(20) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(layout.key_file)
    key = layout.key_file.read_text().strip()
    if not key:
        raise MachineUnfitError(
            f"{layout.key_file} is empty, so nobody has a key. Remove it, and the runtime makes another."
        )
    return key


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
