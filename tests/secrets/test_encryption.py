"""Secrets at rest: encrypted with the installation's key, which can be replaced and is never guessed."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select, update

from commandcenter.access.scope import Role, Scope
from commandcenter.database import Database
from commandcenter.identifiers import new_id
from commandcenter.instance import Instance
from commandcenter.projects.records import Project
from commandcenter.secrets.actions import set_secret
from commandcenter.secrets.errors import SecretsKeyError, UnknownSecretsKeyError
from commandcenter.secrets.key_source import open_keyring
from commandcenter.secrets.keyring import Keyring, new_key
from commandcenter.secrets.records import Secret, SecretVersion
from commandcenter.secrets.rotation import discard_unreadable, rotate_secrets
from commandcenter.settings import Settings
from processes.administration import rotate

VALUE = "correct horse battery staple"
OLD, NEW = new_key(), new_key()


def settings(home: Path, *keys: str) -> Settings:
    return Settings(home=home, secrets_key=SecretStr(",".join(keys)) if keys else None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database in which nobody has said yet which key encrypts."""
    opened = Database(database_url, pool_size=5)
    yield opened
    async with opened.system_transaction() as session:
        await session.execute(delete(Secret))
        await session.execute(delete(SecretVersion))
        await session.execute(update(Instance).values(secrets_key_id=None))
    await opened.close()


async def add_secrets(database: Database, keyring: Keyring, count: int = 1) -> Scope:
    project = Project(id=new_id(), name=str(new_id()))
    scope = Scope(project.id, Role.ADMINISTRATOR, "system:tests")
    async with database.transaction(project.id) as session:
        session.add(project)
        await session.flush()
        for number in range(count):
            await set_secret(session, keyring, scope, f"SECRET_{number}", f"{VALUE} {number}")
    return scope


async def values(database: Database, keyring: Keyring) -> list[str]:
    async with database.system_transaction() as session:
        versions = await session.scalars(select(SecretVersion).order_by(SecretVersion.id))
        return [keyring.open(each.key_id, each.sealed, each.belongs_to).decode() for each in versions]


async def test_processes_that_start_at_once_make_one_key_that_nobody_else_can_read(
    database: Database, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    keyrings = await asyncio.gather(*(open_keyring(database, settings(home)) for _ in range(5)))
    assert len({keyring.first_id for keyring in keyrings}) == 1
    assert [path.name for path in home.iterdir()] == ["secrets.key"]
    assert stat.S_IMODE((home / "secrets.key").stat().st_mode) == 0o600
    await add_secrets(database, keyrings[0])
    assert await values(database, await open_keyring(database, settings(home))) == [f"{VALUE} 0"]


async def test_a_key_that_others_may_read_is_refused(database: Database, tmp_path: Path) -> None:
    await open_keyring(database, settings(tmp_path))
    (tmp_path / "secrets.key").chmod(0o640)
    with pytest.raises(SecretsKeyError, match="chmod 600"):
        await open_keyring(database, settings(tmp_path))


@pytest.mark.parametrize("key", ["", "short", "é", OLD[:-4], OLD + "A", f"{OLD},"])
async def test_what_is_no_key_is_refused_with_the_way_to_make_one(
    database: Database, tmp_path: Path, key: str
) -> None:
    with pytest.raises(
        SecretsKeyError, match=r"COMMANDCENTER_SECRETS_KEY must hold .*openssl rand"
    ) as caught:
        await open_keyring(database, settings(tmp_path, key))
    assert not key or key not in str(caught.value)


async def test_a_process_without_the_installations_key_does_not_start(
    database: Database, tmp_path: Path
) -> None:
    await open_keyring(database, settings(tmp_path, OLD))
    for given in ((), (NEW,)):
        with pytest.raises(UnknownSecretsKeyError, match=r"Give every process the same key.*rotate"):
            await open_keyring(database, settings(tmp_path, *given))
    assert list(tmp_path.iterdir()) == []


async def test_rotation_encrypts_everything_with_the_first_key_and_may_be_repeated(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    old = await open_keyring(database, settings(tmp_path, OLD))
    await add_secrets(database, old, count=450)
    written = await values(database, old)
    both = settings(tmp_path, NEW, OLD).model_copy(update={"database_url": database_url})
    await open_keyring(database, both)
    assert await rotate(both, discard=False) == (450, [])
    assert await rotate(both, discard=False) == (0, [])
    assert await values(database, await open_keyring(database, settings(tmp_path, NEW))) == written
    with pytest.raises(UnknownSecretsKeyError):
        await open_keyring(database, settings(tmp_path, OLD))


async def test_what_a_lost_key_encrypts_stops_a_rotation_and_can_be_given_up(
    database: Database, tmp_path: Path
) -> None:
    await add_secrets(database, await open_keyring(database, settings(tmp_path, OLD)))
    new = Keyring.parse(NEW, "the test")
    with pytest.raises(UnknownSecretsKeyError):
        await rotate_secrets(database, new)
    assert await discard_unreadable(database, new, "system:tests") == ["SECRET_0"]
    assert await rotate_secrets(database, new) == 0
    assert (await open_keyring(database, settings(tmp_path, NEW))).first_id == new.first_id


async def test_a_value_that_was_moved_or_altered_does_not_decrypt(database: Database, tmp_path: Path) -> None:
    keyring = await open_keyring(database, settings(tmp_path, OLD))
    await add_secrets(database, keyring, count=2)
    async with database.system_transaction() as session:
        one, other = await session.scalars(select(SecretVersion))
    for sealed, belongs_to in (
        (one.sealed, other.belongs_to),
        (one.sealed[:-1] + bytes([one.sealed[-1] ^ 1]), one.belongs_to),
        (b"", one.belongs_to),
    ):
        with pytest.raises(SecretsKeyError):
            keyring.open(one.key_id, sealed, belongs_to)
