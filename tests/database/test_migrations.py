"""Migrations lead to what the records say, back, and there again."""

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from commandcenter.database import driver_url
from commandcenter.records import Record
from migrations.upgrade import alembic_config, downgrade, upgrade
from tests.fixtures.product import OF_NO_PROJECT

POLICIES = text(
    "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies ORDER BY tablename, policyname"
)
WALLS = text(
    "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
)


async def test_up_down_and_up_again_leads_to_the_same(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url)
    first = await run(empty_database_url, everything)
    await asyncio.to_thread(downgrade, empty_database_url, "base")
    assert await run(empty_database_url, tables) == ["alembic_version"]
    await asyncio.to_thread(upgrade, empty_database_url)
    await asyncio.to_thread(upgrade, empty_database_url)
    assert await run(empty_database_url, everything) == first


async def test_each_migration_can_be_taken_back_by_itself(empty_database_url: str) -> None:
    revisions = [
        script.revision
        for script in ScriptDirectory.from_config(alembic_config(empty_database_url)).walk_revisions()
    ]
    await asyncio.to_thread(upgrade, empty_database_url)
    for revision in [*revisions[1:], "base"]:
        await asyncio.to_thread(downgrade, empty_database_url, revision)
    for revision in reversed(revisions):
        await asyncio.to_thread(upgrade, empty_database_url, revision)
    assert await run(empty_database_url, differences) == []


async def test_records_and_migrations_agree(database_url: str) -> None:
    assert await run(database_url, differences) == []


async def test_every_projects_table_is_behind_the_wall_even_for_its_owner(database_url: str) -> None:
    walls = {name: (enabled, forced) for name, enabled, forced in await run(database_url, rows, WALLS)}
    assert {name for name, wall in walls.items() if wall != (True, True)} == {
        "alembic_version",
        *OF_NO_PROJECT,
    }
    walled = {row[0] for row in await run(database_url, rows, POLICIES)}
    assert walled == set(Record.metadata.tables) - OF_NO_PROJECT


def everything(connection: Connection) -> dict[str, Any]:
    """Tables with columns, indexes and constraints, policies and walls."""
    inspector = inspect(connection)
    return {
        "tables": {
            name: (
                [str(sorted(column.items(), key=str)) for column in inspector.get_columns(name)],
                sorted(map(str, inspector.get_indexes(name))),
                sorted(map(str, inspector.get_foreign_keys(name))),
                sorted(map(str, inspector.get_check_constraints(name))),
                sorted(map(str, inspector.get_unique_constraints(name))),
            )
            for name in inspector.get_table_names()
        },
        "policies": rows(connection, POLICIES),
        "walls": rows(connection, WALLS),
    }


def tables(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, Record.metadata))


def rows(connection: Connection, query: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(query)]


async def run(database_url: str, work: Any, *arguments: Any) -> Any:
    """What `work` finds with a connection to the database."""
    engine = create_async_engine(driver_url(database_url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work, *arguments)
    finally:
        await engine.dispose()
