"""Alembic's entry point: one connection, one transaction, one migrator at a time."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from commandcenter.database import driver_url
from commandcenter.records import Record

# Any number will do, as long as every migrator takes the same.
_MIGRATION_LOCK = 7_203_118_442


def _database_url() -> str:
    configured = context.config.attributes.get("database_url")
    if configured is not None:
        return str(configured)
    return driver_url(os.environ["DATABASE_URL"])


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    context.configure(connection=connection, target_metadata=Record.metadata)
    context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(_database_url(), hide_parameters=True)
    async with engine.begin() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_run())
