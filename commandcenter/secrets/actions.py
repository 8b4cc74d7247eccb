"""What one can do with secrets."""

from uuid import UUID

from sqlalchemy import delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.events.actions import record_event
from commandcenter.identifiers import new_id
from commandcenter.secrets.errors import SecretNotFoundError, SecretQuotaError
from commandcenter.secrets.keyring import Keyring
from commandcenter.secrets.records import Secret, SecretVersion
from commandcenter.secrets.values import encoded_value, require_valid_name

MOST_SECRETS = 1000


async def set_secret(session: AsyncSession, keyring: Keyring, scope: Scope, name: str, value: str) -> Secret:
    """Make a secret, or give it another value. What was given to sandboxes before stays masked there."""
    scope.require(Role.ADMINISTRATOR)
    require_valid_name(name)
    encoded = encoded_value(value)
    await _lock(session, scope, name)
    await _require_room(session, scope, name)
    version = SecretVersion(id=new_id(), project_id=scope.project_id, name=name, key_id=keyring.first_id)
    version.sealed = keyring.seal(encoded, version.belongs_to)
    session.add(version)
    await session.flush()
    statement = insert(Secret).values(
        id=new_id(), project_id=scope.project_id, name=name, version_id=version.id, created_by=scope.actor
    )
    secret: Secret = (
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["project_id", "name"],
                set_={"version_id": version.id, "updated_at": now()},
            ).returning(Secret)
        )
    ).scalar_one()
    await _replaced(session, scope, name, but=version.id)
    record_event(session, scope, "secret.set", secret.id, name=name)
    return secret


async def delete_secret(session: AsyncSession, scope: Scope, name: str) -> Secret:
    """Remove a secret. Sandboxes that were given it keep it, and it stays masked there until they end."""
    scope.require(Role.ADMINISTRATOR)
    require_valid_name(name)
    await _lock(session, scope, name)
    secret: Secret | None = await session.scalar(
        delete(Secret).where(Secret.project_id == scope.project_id, Secret.name == name).returning(Secret),
        execution_options={"synchronize_session": False},
    )
    if secret is None:
        raise SecretNotFoundError(name, "name")
    await _replaced(session, scope, name)
    record_event(session, scope, "secret.deleted", secret.id, name=name)
    return secret


async def _lock(session: AsyncSession, scope: Scope, name: str) -> None:
    """One change of a secret at a time, also of one that is not there yet."""
    key = func.hashtextextended(f"secret {scope.project_id} {name}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def _replaced(session: AsyncSession, scope: Scope, name: str, but: UUID | None = None) -> None:
    """Note since when the secret's earlier values are not its value any more."""
    await session.execute(
        update(SecretVersion)
        .where(
            SecretVersion.project_id == scope.project_id,
            SecretVersion.name == name,
            SecretVersion.replaced_at.is_(None),
            SecretVersion.id != but if but is not None else true(),
        )
        .values(replaced_at=func.now()),
        execution_options={"synchronize_session": False},
    )


async def _require_room(session: AsyncSession, scope: Scope, name: str) -> None:
    others = select(func.count()).where(Secret.project_id == scope.project_id, Secret.name != name)
    if (await session.execute(others)).scalar_one() >= MOST_SECRETS:
        raise SecretQuotaError(
            f"A project has at most {MOST_SECRETS} secrets. Delete one that is not needed.", ("name",)
        )
