"""Signing a browser in: by a one-time link or with a key; and out again."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.authentication import authenticate_key, is_valid_key
from commandcenter.access.records import BrowserSession, SignInLink
from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.errors import NotFoundError
from commandcenter.events.actions import record_event
from commandcenter.keys.records import ApiKey
from commandcenter.projects.records import Project
from commandcenter.secret_tokens import new_token, token_hash

LINK_LIFETIME = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(days=7)


async def create_sign_in_link(database: Database, key: ApiKey) -> str:
    """A token that signs one browser in with `key`, once, within 15 minutes."""
    token = new_token()
    async with database.transaction(key.project_id) as session:
        session.add(
            SignInLink(
                project_id=key.project_id,
                key_id=key.id,
                token_hash=token_hash(token),
                expires_at=now() + LINK_LIFETIME,
            )
        )
    return token


async def sign_in_with_link(database: Database, token: str, *, address: str | None = None) -> str | None:
    """Use a link up: returns the new browser session's token, or None where the link is spent or unknown."""
    async with database.system_transaction() as session:
        link = await session.scalar(
            update(SignInLink)
            .where(
                SignInLink.token_hash == token_hash(token),
                SignInLink.used_at.is_(None),
                SignInLink.expires_at > now(),
            )
            .values(used_at=now())
            .returning(SignInLink)
        )
        if link is None:
            return None
        key = (await session.execute(select(ApiKey).where(ApiKey.id == link.key_id))).scalar_one()
        return _open_session(session, key, address, "link")


async def sign_in_with_key(database: Database, secret: str, *, address: str | None = None) -> str | None:
    """Open a browser session with an API key; None where the key is not valid."""
    scope = await authenticate_key(database, secret, address=address)
    if scope is None:
        return None
    async with database.transaction(scope.project_id) as session:
        key = (await session.execute(select(ApiKey).where(ApiKey.id == scope.key_id))).scalar_one()
        return _open_session(session, key, address, "key")


async def sign_out(database: Database, token: str) -> None:
    """End a browser session; an unknown one is no error."""
    async with database.system_transaction() as session:
        await session.execute(
            update(BrowserSession)
            .where(BrowserSession.token_hash == token_hash(token), BrowserSession.ended_at.is_(None))
            .values(ended_at=now())
        )


def _open_session(session: AsyncSession, key: ApiKey, address: str | None, how: str) -> str:
    token = new_token()
    session.add(
        BrowserSession(
            project_id=key.project_id,
            key_id=key.id,
            token_hash=token_hash(token),
            expires_at=now() + SESSION_LIFETIME,
        )
    )
    scope = Scope(project_id=key.project_id, role=Role.VIEWER, actor=f"key:{key.prefix}", address=address)
    record_event(session, scope, "access.signed_in", key.id, how=how)
    return token


async def administrator_key(database: Database, project_name: str = "default") -> ApiKey:
    """The newest valid administrator's key of a project, for the link that `commandcenter up` prints."""
    async with database.system_transaction() as session:
        key = await session.scalar(
            select(ApiKey)
            .join(Project, Project.id == ApiKey.project_id)
            .where(
                Project.name == project_name,
                ApiKey.is_instance_administrator,
                is_valid_key(),
            )
            .order_by(ApiKey.id.desc())
            .limit(1)
        )
    if key is None:
        raise NotFoundError(
            "No instance administrator's key is valid. "
            "Make one: commandcenter admin create-key --instance-administrator"
        )
    return key
