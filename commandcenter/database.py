"""PostgreSQL: the engine, and transactions that see one project only.

Two walls hold projects apart. Every query of ours names the project; and row-level security, forced on
every project table, lets a transaction see only the project that it was opened for, whatever it asks.
"""

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
from sqlalchemy import DateTime, Enum, MetaData, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

STATEMENT_TIMEOUT_SECONDS = 30
# A process that is held up in a transaction must not hold up those who take over from it for longer.
IDLE_IN_TRANSACTION_SECONDS = 5
POOL_WAIT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10

_BEGIN = "BEGIN;"
_SET_SYSTEM = "SET LOCAL commandcenter.system = 'on';"


class Record(DeclarativeBase):
    """The base of every stored class."""

    # Enums are stored by name, as text: a new value then needs no migration.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        enum.StrEnum: Enum(enum.StrEnum, native_enum=False, create_constraint=False, length=32),
        datetime: DateTime(timezone=True),
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UnsafeDatabaseRoleError(Exception):
    """The role of DATABASE_URL would pass row-level security by."""


def driver_url(database_url: str) -> str:
    """The URL with the driver that we use, whichever PostgreSQL URL was given."""
    return make_url(database_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose next transaction begins with its settings, in one message instead of two."""

    __slots__ = ("opening",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opening = ""

    async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        """Run a statement; to the one that begins a transaction, add its settings."""
        if query == _BEGIN:
            query += self.opening
        return await super().execute(query, *arguments, **options)


def _check_out(connection: Any, _record: Any, _proxy: Any) -> None:
    """Forget the settings of an earlier use, and let the pool replace a connection that was closed.

    The driver knows that the server closed it; the pool's own ping would ask by three messages each time.
    """
    connection.driver_connection.opening = ""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def _open_with(session: AsyncSession, settings: str) -> None:
    connection = (await session.connection()).sync_connection
    if connection is None:
        raise RuntimeError("The session has no connection.")
    driver: Any = connection.connection.driver_connection
    driver.opening = settings


class Database:
    """One process's connections to PostgreSQL."""

    def __init__(self, database_url: str, *, pool_size: int = 20) -> None:
        self.engine: AsyncEngine = create_async_engine(
            driver_url(database_url),
            pool_size=pool_size,
            max_overflow=0,
            # Parameters hold access tokens, and errors are logged.
            hide_parameters=True,
            pool_timeout=POOL_WAIT_SECONDS,
            connect_args={
                "connection_class": _Connection,
                "timeout": CONNECT_TIMEOUT_SECONDS,
                "server_settings": {
                    "application_name": "commandcenter",
                    "statement_timeout": str(STATEMENT_TIMEOUT_SECONDS * 1000),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
                    "jit": "off",
                },
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _check_out)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self, project_id: UUID) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and changes one project; committed at its end, rolled back on an error."""
        async with self._sessions.begin() as session:
            await _open_with(session, f"SET LOCAL commandcenter.project_id = '{project_id}';")
            yield session

    @asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction over all projects: for key look-ups, schedules and administration only."""
        async with self._sessions.begin() as session:
            await _open_with(session, _SET_SYSTEM)
            yield session

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def require_safe_role(self) -> None:
        """Refuse a role that row-level security does not bind (`UnsafeDatabaseRoleError`)."""
        async with self.engine.connect() as connection:
            row = await connection.execute(
                text("SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
            name, unsafe = row.one()
        if unsafe:
            raise UnsafeDatabaseRoleError(
                f"The database role {name!r} is a superuser or bypasses row-level security, which keeps "
                "projects apart. Make another one and use it in DATABASE_URL: CREATE ROLE commandcenter "
                "LOGIN PASSWORD '…'; CREATE DATABASE commandcenter OWNER commandcenter;"
            )

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
