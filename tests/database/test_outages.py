"""What must be recorded, while the database is away."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from commandcenter.database import Database
from commandcenter.outages import despite_outages
from processes.embedded.postgresql import EmbeddedPostgresql


async def test_what_must_be_recorded_waits_until_the_database_is_back(
    database: Database, database_url: str, postgresql: EmbeddedPostgresql
) -> None:
    await database.ping()
    name = make_url(database_url).database
    tried_twice = asyncio.Event()
    attempts = 0

    async def work() -> object:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            tried_twice.set()
        async with database.system_transaction() as session:
            return await session.scalar(text("SELECT 'recorded'"))

    administrator = await postgresql.connect()
    try:
        await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await administrator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name
        )
        recording = asyncio.create_task(despite_outages(work))
        await tried_twice.wait()
        assert not recording.done()
        await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert await recording == "recorded"
    finally:
        await administrator.close()


async def test_a_mistake_of_ours_is_no_outage(database: Database) -> None:
    async def mistake() -> None:
        async with database.system_transaction() as session:
            await session.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(ProgrammingError):
        await despite_outages(mistake)
