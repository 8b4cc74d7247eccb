"""What a transaction sees, and what it survives."""

from uuid import UUID

from sqlalchemy import text

from commandcenter.database import Database
from commandcenter.identifiers import new_id
from processes.embedded.postgresql import EmbeddedPostgresql

_PROJECT = text("SELECT current_setting('commandcenter.project_id', true)")
_SYSTEM = text("SELECT current_setting('commandcenter.system', true)")


async def project_seen(database: Database, project_id: UUID) -> str:
    async with database.transaction(project_id) as session:
        return str(await session.scalar(_PROJECT))


async def test_a_transaction_names_its_project(database: Database) -> None:
    first, second = new_id(), new_id()
    assert await project_seen(database, first) == str(first)
    assert await project_seen(database, second) == str(second)


async def test_what_one_transaction_may_see_the_next_on_its_connection_may_not(database: Database) -> None:
    await project_seen(database, new_id())
    async with database.system_transaction() as session:
        assert await session.scalar(_SYSTEM) == "on"
        assert await session.scalar(_PROJECT) == ""
    async with database.engine.connect() as connection:
        assert (await connection.execute(_SYSTEM)).scalar() == ""
        assert (await connection.execute(_PROJECT)).scalar() == ""


async def test_a_transaction_without_a_statement_leaves_the_next_nothing(database: Database) -> None:
    async with database.system_transaction():
        pass
    async with database.engine.connect() as connection:
        assert (await connection.execute(_SYSTEM)).scalar() in (None, "")


async def test_a_connection_that_the_server_closed_is_replaced_unseen(
    database: Database, postgresql: EmbeddedPostgresql
) -> None:
    project = new_id()
    async with database.transaction(project) as session:
        process_id = await session.scalar(text("SELECT pg_backend_pid()"))
    administrator = await postgresql.connect()
    try:
        await administrator.execute(f"SELECT pg_terminate_backend({process_id}, 5000)")
    finally:
        await administrator.close()
    assert await project_seen(database, project) == str(project)
