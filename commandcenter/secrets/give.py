"""Giving secrets to a sandbox: noted before its commands get them, so that all who read output mask them."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.events.actions import record_event
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.errors import SecretNotFoundError, SecretQuotaError
from commandcenter.secrets.records import SandboxSecret, Secret, SecretVersion

MOST_GIVEN = 200
MOST_GIVEN_BYTES = 256 * 1024
_USE_NOTED_EVERY = timedelta(minutes=1)


async def give_secrets(
    session: AsyncSession,
    scope: Scope,
    sandbox: Sandbox,
    names: Sequence[str],
    *,
    for_every_command: bool = False,
) -> None:
    """Note that a sandbox is given the present values of secrets: all its commands, or the next one alone.

    The sandbox's row is the caller's, new or locked. `SecretNotFoundError` names the first that is missing.
    """
    if not names:
        return
    versions = await _current_versions(session, scope, names)
    added = await session.execute(
        insert(SandboxSecret)
        .values(
            [
                {
                    "sandbox_id": sandbox.id,
                    "version_id": versions[name],
                    "project_id": scope.project_id,
                    "name": name,
                    "for_every_command": for_every_command,
                }
                for name in names
            ]
        )
        .on_conflict_do_nothing()
        .returning(SandboxSecret.name)
    )
    new_names = sorted(added.scalars())
    await _note_use(session, scope, names)
    if new_names:
        sandbox.secret_count += len(new_names)
        await _require_within_bounds(session, sandbox)
        record_event(
            session, scope, "sandbox.secrets_given", sandbox.id, sandbox_id=sandbox.id, names=new_names
        )


async def _current_versions(session: AsyncSession, scope: Scope, names: Sequence[str]) -> dict[str, UUID]:
    found = await session.execute(
        select(Secret.name, Secret.version_id).where(
            Secret.project_id == scope.project_id, Secret.name.in_(names)
        )
    )
    versions: dict[str, UUID] = {row.name: row.version_id for row in found}
    for name in names:
        if name not in versions:
            raise SecretNotFoundError(name)
    return versions


async def _note_use(session: AsyncSession, scope: Scope, names: Sequence[str]) -> None:
    # What another request notes at this moment is as good; nobody waits for it.
    due = (
        select(Secret.id)
        .where(
            Secret.project_id == scope.project_id,
            Secret.name.in_(names),
            or_(Secret.last_used_at.is_(None), Secret.last_used_at < now() - _USE_NOTED_EVERY),
        )
        .with_for_update(skip_locked=True)
    )
    await session.execute(
        update(Secret).where(Secret.id.in_(due)).values(last_used_at=now()),
        execution_options={"synchronize_session": False},
    )


async def _require_within_bounds(session: AsyncSession, sandbox: Sandbox) -> None:
    """All of them are looked for in every byte of its output."""
    size = await session.scalar(
        select(func.sum(func.octet_length(SecretVersion.sealed)))
        .join(SandboxSecret, SandboxSecret.version_id == SecretVersion.id)
        .where(SandboxSecret.sandbox_id == sandbox.id)
    )
    if sandbox.secret_count > MOST_GIVEN or (size or 0) > MOST_GIVEN_BYTES:
        raise SecretQuotaError(
            f"A sandbox is given at most {MOST_GIVEN} values of secrets of {MOST_GIVEN_BYTES} bytes in all. "
            "Use another sandbox.",
            ("secrets",),
        )
