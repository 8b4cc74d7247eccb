"""How a secret becomes a scope: API keys and browser sessions."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.records import BrowserSession
from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.keys.records import ApiKey
from commandcenter.projects.records import Project
from commandcenter.secret_tokens import token_hash

# Writing the last use on every request would make each read a write; a minute is exact enough for people.
_LAST_USE_PRECISION = timedelta(minutes=1)
# Of each request's key, so not more than is needed.
_COLUMNS = (
    ApiKey.id,
    ApiKey.project_id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.role,
    ApiKey.is_instance_administrator,
    ApiKey.last_used_at,
    Project.max_requests_per_minute,
    Project.max_points_per_minute,
)


def is_valid_key() -> ColumnElement[bool]:
    """The condition that a key has neither expired nor been revoked."""
    return ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())


async def _scope_of_key(
    session: AsyncSession, address: str | None, *conditions: ColumnElement[bool]
) -> Scope | None:
    """The scope of the valid key that the conditions find, with what its project allows; notes the use."""
    key = (
        await session.execute(
            select(*_COLUMNS)
            .join(Project, Project.id == ApiKey.project_id)
            .where(*conditions, is_valid_key())
        )
    ).one_or_none()
    if key is None:
        return None
    await _note_use(session, key.id, key.last_used_at)
    return Scope(
        project_id=key.project_id,
        role=key.role,
        actor=f"key:{key.prefix}",
        key_id=key.id,
        key_name=key.name,
        address=address,
        is_instance_administrator=key.is_instance_administrator,
        requests_per_minute=key.max_requests_per_minute,
        points_per_minute=key.max_points_per_minute,
    )


async def _note_use(session: AsyncSession, key_id: UUID, last_used_at: datetime | None) -> None:
    if last_used_at is None or last_used_at < now() - _LAST_USE_PRECISION:
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now()))


async def authenticate_key(database: Database, secret: str, *, address: str | None = None) -> Scope | None:
    """The scope of a valid key; None for one that is unknown, revoked or expired."""
    async with database.system_transaction() as session:
        return await _scope_of_key(session, address, ApiKey.secret_hash == token_hash(secret))


async def scope_of_key(database: Database, key_id: UUID, *, address: str | None = None) -> Scope | None:
    """The scope of a key by its id, for what was signed in its name; None where it is not valid any more."""
    async with database.system_transaction() as session:
        return await _scope_of_key(session, address, ApiKey.id == key_id)


async def authenticate_session(database: Database, token: str, *, address: str | None = None) -> Scope | None:
    """The scope of a signed-in browser; None where the session, or the key behind it, has ended."""
    signed_in = select(BrowserSession.key_id).where(
        BrowserSession.token_hash == token_hash(token),
        BrowserSession.ended_at.is_(None),
        BrowserSession.expires_at > now(),
    )
    async with database.system_transaction() as session:
        return await _scope_of_key(session, address, ApiKey.id == signed_in.scalar_subquery())
