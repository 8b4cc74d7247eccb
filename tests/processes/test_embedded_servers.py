"""PostgreSQL and Valkey that come along."""

import os
import signal
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from processes.embedded import binaries
from processes.embedded.postgresql import EmbeddedPostgresql
from processes.embedded.valkey import EmbeddedValkey
from processes.errors import StartError
from processes.home import open_home
from tests.fixtures.children import running
from tests.fixtures.users import needs_root, needs_root_in_an_open_folder, run_as_ordinary_user


async def test_the_products_role_is_bound_by_row_level_security(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    try:
        role = await connection.fetchrow(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles "
            "WHERE rolname = current_user"
        )
        assert role is not None
        assert tuple(role) == ("commandcenter", False, False, False, False)
        await connection.execute("CREATE TABLE mine (id int)")
    finally:
        await connection.close()


async def test_a_test_module_gets_a_migrated_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM projects") == 0
    finally:
        await connection.close()


async def test_postgresql_takes_nobody_without_the_password(postgresql: EmbeddedPostgresql) -> None:
    address = postgresql.url().replace(":", ":wrong", 2).replace("postgresql:wrong", "postgresql:")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address)


async def test_valkey_answers_and_writes_all_it_is_told(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.set("key", "value")
        assert await client.get("key") == b"value"
        assert (await client.info("persistence"))["aof_enabled"] == 1


@needs_root_in_an_open_folder
def test_the_servers_run_as_an_ordinary_user_too() -> None:
    result = run_as_ordinary_user(["-m", "pytest", "-p", "no:cacheprovider", "-q", __file__])
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@needs_root
async def test_programs_that_their_user_cannot_reach_are_copied_and_run(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "open_to_others", lambda path: False)
    home = open_home(short_folder / "copies")
    postgresql, valkey = EmbeddedPostgresql(home), EmbeddedValkey(home)
    plans = postgresql.plan(), valkey.plan()
    assert all(Path(plan.command[0]).is_relative_to(home.services / "programs") for plan in plans)
    async with running(plans[0]), running(plans[1]):
        await postgresql.create_application_database()
        connection = await asyncpg.connect(postgresql.url())
        assert await connection.fetchval("SHOW server_version") == "18.6"
        await connection.close()


async def test_data_of_another_major_version_are_refused(short_folder: Path) -> None:
    home = open_home(short_folder / "older")
    data = home.service_folder("postgresql") / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(StartError, match=r"was written by PostgreSQL 17, and this is 18\. Dump it with 17"):
        EmbeddedPostgresql(home).plan()


async def test_a_password_file_that_was_lost_is_said(short_folder: Path) -> None:
    home = open_home(short_folder / "forgetful")
    async with running(EmbeddedPostgresql(home).plan()):
        pass
    (home.folder / "postgresql.passwords.json").unlink()
    with pytest.raises(StartError, match="does not take the password in"):
        async with running(EmbeddedPostgresql(home).plan()):
            pass


async def test_what_was_written_is_there_after_a_crash(short_folder: Path) -> None:
    home = open_home(short_folder / "crashing")
    postgresql, valkey = EmbeddedPostgresql(home), EmbeddedValkey(home)
    async with running(postgresql.plan()) as database, running(valkey.plan()) as queue:
        await postgresql.create_application_database()
        connection = await asyncpg.connect(postgresql.url())
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        async with Redis.from_url(valkey.url) as client:
            await client.set("kept", "42")
            await client.waitaof(1, 0, 2000)
        for child in (database, queue):
            os.kill(child.process_id, signal.SIGKILL)
            await child.ended()
    async with running(postgresql.plan()), running(valkey.plan()):
        connection = await asyncpg.connect(postgresql.url())
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()
        async with Redis.from_url(valkey.url) as client:
            assert await client.get("kept") == b"42"
