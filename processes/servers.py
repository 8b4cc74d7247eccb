"""PostgreSQL and Valkey: those that are given, or else embedded ones."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from commandcenter.database import Database, UnsafeDatabaseRoleError
from commandcenter.settings import Settings
from processes.embedded.postgresql import EmbeddedPostgresql
from processes.embedded.valkey import EmbeddedValkey
from processes.errors import StartError
from processes.home import Home
from processes.screen import Screen
from processes.supervision import Supervisor

_GIVEN_ANSWER_SECONDS = 5


async def embedded_postgresql(home: Home, supervisor: Supervisor, screen: Screen) -> str:
    """Run the embedded PostgreSQL; returns the address of the product's database."""
    server = EmbeddedPostgresql(home)
    plan = await asyncio.to_thread(server.plan)
    seconds = await supervisor.start(plan)
    await server.create_application_database()
    screen.step("PostgreSQL", "ready", seconds)
    return server.url()


async def embedded_valkey(home: Home, supervisor: Supervisor, screen: Screen) -> str:
    """Run the embedded Valkey; returns its address."""
    server = EmbeddedValkey(home)
    screen.step("Valkey", "ready", await supervisor.start(server.plan()))
    return server.url


async def require_database(database: Database, settings: Settings) -> None:
    """See that the database answers and that its role may be used; raises `StartError`."""
    try:
        await database.ping()
        await database.require_safe_role()
    except UnsafeDatabaseRoleError as error:
        raise StartError(str(error)) from error
    except (OSError, asyncpg.PostgresError, SQLAlchemyError, TimeoutError) as error:
        where = (
            _without_password(settings.database_url) if settings.database_url else "The embedded PostgreSQL"
        )
        raise StartError(
            f"{where} does not answer: {error}. Is DATABASE_URL right, and the server up?"
        ) from error


async def require_redis(redis_url: str) -> None:
    """See that the given Redis or Valkey answers; raises `StartError`."""
    try:
        async with Redis.from_url(
            redis_url, socket_timeout=_GIVEN_ANSWER_SECONDS, socket_connect_timeout=_GIVEN_ANSWER_SECONDS
        ) as client:
            await client.ping()
    except (RedisError, OSError, ValueError) as error:
        raise StartError(
            f"{_without_password(redis_url)} does not answer: {error}. Is REDIS_URL right, and the server up?"
        ) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    with suppress(ValueError):
        if parts.password:
            return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")).geturl()
    return url
