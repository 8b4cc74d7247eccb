"""PostgreSQL and Valkey that come along."""

import asyncpg
import pytest
from redis.asyncio import Redis

from processes.embedded.postgresql import EmbeddedPostgresql


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
