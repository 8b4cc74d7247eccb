"""The teams' secrets: written by API, read only by what fills them into requests outside the sandboxes.

They lie in one file that only the runtime's user may read; they are not encrypted, since the key would lie
beside them.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from runtime.host.errors import HostError, InvalidSandboxRequestError

SECRETS_OF_A_TEAM = 1000
VALUE_BYTES = 64 * 1024
NAME_BYTES = 256
METADATA_ENTRIES, METADATA_KEY_BYTES, METADATA_VALUE_BYTES, METADATA_BYTES = 32, 128, 1024, 8192
ID_PREFIX = "sec_"


class SecretNotFoundError(HostError, LookupError):
    """No secret of this name or id."""


class SecretExistsError(HostError):
    """Another secret has this name."""


class SecretLimitError(HostError):
    """As many secrets as a team may have."""

    code = "secret_limit_reached"


@dataclass(frozen=True)
class Secret:
    """A secret as it stands; `version` counts its values."""

    id: str
    team: str
    name: str
    value: str = field(repr=False)
    version: int
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class Secrets:
    """All secrets, in memory and in the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._secrets: dict[str, Secret] = _load(file)

    def value(self, team: str, name: str) -> str:
        """What `${e2b.secrets.NAME}` stands for in a team's network rules."""
        return self.find(team, name).value

    def find(self, team: str, name_or_id: str) -> Secret:
        """A team's secret; raises SecretNotFoundError."""
        found = self._secrets.get(name_or_id) or self._named(team, name_or_id)
        if found is None or found.team != team:
            raise SecretNotFoundError(f'secret "{name_or_id}" not found')
        return found

    def of_team(self, team: str) -> list[Secret]:
        """A team's secrets, the oldest first."""
        return [secret for secret in self._secrets.values() if secret.team == team]

    def create(self, team: str, name: str, value: str, metadata: Mapping[str, str]) -> Secret:
        """A new secret, of a name in small letters."""
        name = _checked_name(name)
        _check(value, metadata)
        if self._named(team, name) is not None:
            raise SecretExistsError(f'secret "{name}" already exists; update it, or take another name')
        if len(self.of_team(team)) >= SECRETS_OF_A_TEAM:
            raise SecretLimitError(f"a team has at most {SECRETS_OF_A_TEAM} secrets; destroy one first")
        now = datetime.now(UTC)
        new = Secret(ID_PREFIX + secrets.token_hex(12), team, name, value, 1, dict(metadata), now, now)
        self._keep(self._secrets | {new.id: new})
        return new

    def update(self, team: str, name_or_id: str, value: str, metadata: Mapping[str, str] | None) -> Secret:
        """Another value as its next version; metadata too, where they are given."""
        found = self.find(team, name_or_id)
        _check(value, metadata or {})
        new = replace(
            found,
            value=value,
            version=found.version + 1,
            metadata=found.metadata if metadata is None else dict(metadata),
            updated_at=datetime.now(UTC),
        )
        self._keep(self._secrets | {new.id: new})
        return new

    def destroy(self, team: str, name_or_id: str) -> None:
        """Forget a secret with all its versions."""
        gone = self.find(team, name_or_id)
        self._keep({id_: secret for id_, secret in self._secrets.items() if id_ != gone.id})

    def _named(self, team: str, name: str) -> Secret | None:
        wanted = name.lower()
        return next((each for each in self.of_team(team) if each.name == wanted), None)

    def _keep(self, new: dict[str, Secret]) -> None:
        """On disk first: what was answered is kept."""
        beside = self._file.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps([asdict(secret) for secret in new.values()]))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)
        self._secrets = new


def _load(file: Path) -> dict[str, Secret]:
    if not file.exists():
        return {}
    stored = orjson.loads(file.read_bytes())
    times = ("created_at", "updated_at")
    found = [Secret(**row | {name: datetime.fromisoformat(row[name]) for name in times}) for row in stored]
    return {secret.id: secret for secret in found}


def _checked_name(name: str) -> str:
    name = name.lower()
    usable = name and len(name.encode()) <= NAME_BYTES and name.isprintable() and not set(name) & set("{}")
    if not usable or name.startswith(ID_PREFIX):
        raise InvalidSandboxRequestError(
            f"name: expected 1 to {NAME_BYTES} bytes without '{{', '}}' and control characters, "
            f"not beginning with '{ID_PREFIX}'"
        )
    return name


def _check(value: str, metadata: Mapping[str, str]) -> None:
    if not value or len(value.encode()) > VALUE_BYTES:
        raise InvalidSandboxRequestError(f"value: expected 1 to {VALUE_BYTES} bytes")
    sizes = [(len(key.encode()), len(text.encode())) for key, text in metadata.items()]
    if (
        len(sizes) > METADATA_ENTRIES
        or any(key > METADATA_KEY_BYTES or text > METADATA_VALUE_BYTES for key, text in sizes)
        or sum(key + text for key, text in sizes) > METADATA_BYTES
    ):
        raise InvalidSandboxRequestError(
            f"metadata: at most {METADATA_ENTRIES} entries of {METADATA_KEY_BYTES} bytes for a key and "
            f"{METADATA_VALUE_BYTES} for a value, together {METADATA_BYTES}"
        )
