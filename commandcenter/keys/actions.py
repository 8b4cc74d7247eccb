"""What one can do with API keys."""

import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import InvalidError, NotFoundError
from commandcenter.events.actions import record_event
from commandcenter.keys.records import ApiKey
from commandcenter.secret_tokens import new_token, token_hash
from commandcenter.texts import require_text

_KEY_PREFIX = "cc_"
_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PREFIX_LENGTH = 8
_LONGEST_NAME = 200


def _new_key() -> tuple[str, str]:
    prefix = _KEY_PREFIX + "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(_PREFIX_LENGTH))
    return prefix, f"{prefix}_{new_token()}"


async def create_key(
    session: AsyncSession,
    scope: Scope,
    *,
    name: str,
    role: Role,
    expires_at: datetime | None = None,
    is_instance_administrator: bool = False,
) -> tuple[ApiKey, str]:
    """Make a key of the scope's project; returns the record and the key itself, which is not kept."""
    scope.require(Role.ADMINISTRATOR)
    if is_instance_administrator and not scope.is_instance_administrator:
        raise InvalidError("Only an instance administrator's key can make another one.")
    require_text(name, "name", _LONGEST_NAME)
    if expires_at is not None and expires_at <= now():
        raise InvalidError("The expiry lies in the past; give a later time, or none.", ("expiresAt",))
    prefix, secret = _new_key()
    key = ApiKey(
        project_id=scope.project_id,
        name=name.strip(),
        prefix=prefix,
        secret_hash=token_hash(secret),
        role=role,
        is_instance_administrator=is_instance_administrator,
        created_by=scope.actor,
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    record_event(session, scope, "key.created", key.id, name=key.name, role=role, prefix=prefix)
    return key, secret


async def revoke_key(session: AsyncSession, scope: Scope, key_id: UUID) -> ApiKey:
    """End a key for good. A second time is no error."""
    scope.require(Role.ADMINISTRATOR)
    key = await session.scalar(
        select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == scope.project_id).with_for_update()
    )
    if key is None:
        raise NotFoundError("There is no such key in this project.", ("keyId",))
    if key.revoked_at is None:
        key.revoked_at = now()
        record_event(session, scope, "key.revoked", key.id, prefix=key.prefix)
    return key
