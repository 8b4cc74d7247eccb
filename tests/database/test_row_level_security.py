"""The second wall: whatever a query asks for, a transaction sees one project. For every table there is."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.records import BrowserSession, SignInLink
from commandcenter.access.scope import Role
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.events.records import Event
from commandcenter.executions.records import Execution
from commandcenter.identifiers import new_id
from commandcenter.keys.records import ApiKey
from commandcenter.logs.records import LogChunkRecord
from commandcenter.projects.records import Project
from commandcenter.records import Record
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.records import SandboxSecret, Secret, SecretVersion
from commandcenter.snapshots.records import Snapshot
from tests.fixtures.product import OF_NO_PROJECT

TABLES = [table for table in Record.metadata.sorted_tables if table.name not in OF_NO_PROJECT]
A, B = new_id(), new_id()


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with one row of everything in two projects."""
    database = Database(database_url, pool_size=2)
    for project_id in (A, B):
        async with database.transaction(project_id) as session:
            await fill(session, project_id)
    yield database
    await database.close()


async def fill(session: AsyncSession, project_id: UUID) -> None:
    key_id, sandbox_id, execution_id, version_id = (new_id() for _ in range(4))
    moment = now() + timedelta(hours=1)
    for record in (
        Project(id=project_id, name=str(project_id)),
        ApiKey(
            id=key_id,
            project_id=project_id,
            name="key",
            prefix="cc_x",
            secret_hash=key_id.bytes,
            role=Role.VIEWER,
            created_by="test",
        ),
        SignInLink(project_id=project_id, key_id=key_id, token_hash=key_id.bytes, expires_at=moment),
        BrowserSession(project_id=project_id, key_id=key_id, token_hash=key_id.bytes, expires_at=moment),
        Sandbox(
            id=sandbox_id,
            project_id=project_id,
            provider="local",
            template="base",
            ttl_seconds=60,
            created_by="test",
        ),
        Execution(
            id=execution_id,
            project_id=project_id,
            sandbox_id=sandbox_id,
            incarnation=1,
            number=1,
            command="true",
            created_by="test",
        ),
        LogChunkRecord(
            execution_id=execution_id,
            sequence=1,
            project_id=project_id,
            stream=1,
            offset=0,
            data=b"x",
            at=moment,
        ),
        Snapshot(
            project_id=project_id, sandbox_id=sandbox_id, provider="local", template="base", created_by="test"
        ),
        SecretVersion(id=version_id, project_id=project_id, name="KEY", key_id="x", sealed=b"x"),
        Secret(project_id=project_id, name="KEY", version_id=version_id, created_by="test"),
        SandboxSecret(
            sandbox_id=sandbox_id,
            version_id=version_id,
            project_id=project_id,
            name="KEY",
            for_every_command=True,
        ),
        Event(project_id=project_id, kind="test", subject_id=key_id, actor="test"),
    ):
        session.add(record)
        await session.flush()


def project_column(table: Table) -> Any:
    return table.c.id if table.name == "projects" else table.c.project_id


@pytest.mark.parametrize("table", TABLES, ids=str)
async def test_without_a_project_nothing_is_seen(database: Database, database_url: str, table: Table) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval(f"SELECT count(*) FROM {table.name}") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize("table", TABLES, ids=str)
async def test_with_a_project_only_its_own_is_seen(database: Database, table: Table) -> None:
    async with database.transaction(A) as session:
        found = set(await session.scalars(select(project_column(table))))
    assert found == {A}, "write a row of every table in `fill`"


@pytest.mark.parametrize("table", TABLES, ids=str)
async def test_what_is_foreign_is_neither_changed_nor_removed(database: Database, table: Table) -> None:
    foreign = project_column(table) == B
    column = next(column for column in table.c if not column.primary_key)
    async with database.transaction(A) as session:
        for statement in (
            update(table).where(foreign).values({column: column}),
            delete(table).where(foreign),
        ):
            result: Any = await session.execute(statement)
            assert result.rowcount == 0
    async with database.transaction(B) as session:
        assert await session.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize("table", TABLES, ids=str)
async def test_nothing_is_written_into_a_foreign_project(database: Database, table: Table) -> None:
    async with database.transaction(A) as session:
        [row] = (await session.execute(select(table))).mappings()
    values = {
        **row,
        **{column.name: new_id() for column in table.primary_key if column.type.python_type is UUID},
    }
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.transaction(A) as session:
            await session.execute(insert(table).values({**values, project_column(table).name: B}))
    if table.name != "projects":
        with pytest.raises(DBAPIError, match="row-level security"):
            async with database.transaction(A) as session:
                await session.execute(update(table).values(project_id=B))


async def test_a_transactions_project_does_not_stay_with_its_connection(
    database: Database, database_url: str
) -> None:
    one = Database(database_url, pool_size=1)
    async with one.transaction(A) as session:
        assert await session.scalar(select(func.count()).select_from(Sandbox)) == 1
    async with one.system_transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Sandbox)) == 2
    async with one.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(Sandbox)) == 0
    await one.close()


async def test_the_role_of_the_application_is_bound_by_the_wall(database: Database) -> None:
    await database.require_safe_role()
