"""Another key for what is stored: every value is encrypted anew with the first one. Safe to repeat."""

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.database import Database
from commandcenter.events.actions import record_event
from commandcenter.instance import Instance
from commandcenter.secrets.keyring import Keyring
from commandcenter.secrets.records import Secret, SecretVersion

_BATCH = 200


async def rotate_secrets(database: Database, keyring: Keyring) -> int:
    """Encrypt with the first key whatever another one encrypts; returns how many values that were.

    `UnknownSecretsKeyError` where one of them is not here; what was done until then stays done.
    """
    done = 0
    while True:
        async with database.system_transaction() as session:
            batch = await _rotate_batch(session, keyring)
            done += batch
            if not batch:
                # Last, so that until now a start needed the earlier key as well.
                await session.execute(update(Instance).values(secrets_key_id=keyring.first_id))
                return done


async def _rotate_batch(session: AsyncSession, keyring: Keyring) -> int:
    versions = await session.scalars(
        select(SecretVersion)
        .where(SecretVersion.key_id != keyring.first_id)
        .order_by(SecretVersion.id)
        .limit(_BATCH)
        .with_for_update()
    )
    count = 0
    for version in versions:
        value = keyring.open(version.key_id, version.sealed, version.belongs_to)
        version.key_id, version.sealed = keyring.first_id, keyring.seal(value, version.belongs_to)
        count += 1
    return count


async def discard_unreadable(database: Database, keyring: Keyring, actor: str) -> list[str]:
    """Remove the secrets whose key is lost; returns their names. What they were can't be masked any more."""
    async with database.system_transaction() as session:
        lost = SecretVersion.key_id.not_in(keyring.ids)
        secrets = await session.scalars(
            delete(Secret)
            .where(Secret.version_id.in_(select(SecretVersion.id).where(lost)))
            .returning(Secret),
            execution_options={"synchronize_session": False},
        )
        names = []
        for secret in secrets:
            scope = Scope(secret.project_id, Role.ADMINISTRATOR, actor)
            record_event(session, scope, "secret.discarded", secret.id, name=secret.name)
            names.append(secret.name)
        await session.execute(
            delete(SecretVersion).where(lost), execution_options={"synchronize_session": False}
        )
    return sorted(names)
