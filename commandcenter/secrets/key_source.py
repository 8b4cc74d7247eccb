"""Where the keys come from: the environment, or a file that the first start makes."""

import os
import secrets
from pathlib import Path

from sqlalchemy import select

from commandcenter.database import Database
from commandcenter.instance import Instance
from commandcenter.secrets.errors import SecretsKeyError, UnknownSecretsKeyError
from commandcenter.secrets.keyring import Keyring, new_key
from commandcenter.secrets.records import SecretVersion
from commandcenter.settings import Settings

VARIABLE = "COMMANDCENTER_SECRETS_KEY"


def key_file(settings: Settings) -> Path:
    """Where the first start keeps the key that it makes."""
    return settings.home_folder / "secrets.key"


def given_keyring(settings: Settings) -> Keyring | None:
    """The keys that are configured or in the file; None where there are none. `SecretsKeyError`."""
    if settings.secrets_key is not None:
        return Keyring.parse(settings.secrets_key.get_secret_value(), VARIABLE)
    path = key_file(settings)
    try:
        if path.stat().st_mode & 0o077:
            raise SecretsKeyError(f"Others may read the key in {path}. Close it: chmod 600 {path}")
        return Keyring.parse(path.read_text(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretsKeyError(
            f"Cannot read {path} ({error.strerror}). Mend it, or set {VARIABLE}."
        ) from error


async def open_keyring(database: Database, settings: Settings) -> Keyring:
    """The keys of this process, which open everything that is stored; made where nothing is stored yet.

    `UnknownSecretsKeyError` where something was encrypted with a key that is not among them.
    """
    async with database.system_transaction() as session:
        # Locked, so that of several that start at once one says which key is the installation's.
        instance = (await session.execute(select(Instance).with_for_update())).scalar_one()
        used = set(await session.scalars(select(SecretVersion.key_id).distinct()))
        if instance.secrets_key_id is not None:
            used.add(instance.secrets_key_id)
        keyring = given_keyring(settings)
        if keyring is None and not used:
            keyring = _make(key_file(settings))
        if keyring is None or not used <= keyring.ids:
            raise _missing(used - (keyring.ids if keyring else frozenset()), settings)
        if instance.secrets_key_id is None:
            instance.secrets_key_id = keyring.first_id
    return keyring


def _make(path: Path) -> Keyring:
    """Make the file, closed to others and never half written, unless somebody else has just made it."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(unfinished, "x", opener=_closed_to_others) as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(unfinished)
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
        return Keyring.parse(path.read_text(), str(path))
    except OSError as error:
        raise SecretsKeyError(
            f"Cannot write {path} ({error.strerror}). Set COMMANDCENTER_HOME to a folder that can be "
            f"written, or {VARIABLE} to a key: `openssl rand -base64 32` makes one."
        ) from error


def _closed_to_others(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _missing(ids: set[str], settings: Settings) -> UnknownSecretsKeyError:
    return UnknownSecretsKeyError(
        f"The secrets in this database are encrypted with a key that is neither in {VARIABLE} nor in "
        f"{key_file(settings)} (its id: {', '.join(sorted(ids))}). Give every process the same key: set "
        f"{VARIABLE}, or copy the file secrets.key from where the first start made it. If the key is lost, "
        "so are the secrets: `commandcenter secrets rotate --discard-unreadable` removes them."
    )
