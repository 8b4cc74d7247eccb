"""Removing values that are not a secret's any more, once no sandbox can show them."""

from datetime import timedelta

from sqlalchemy import delete, exists, func, or_, select

from commandcenter.database import Database
from commandcenter.executions.records import NOT_ENDED, Execution
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.secrets.records import SandboxSecret, SecretVersion

# A request that read which value is current may be about to give it to a sandbox.
_GRACE = timedelta(minutes=10)
_MOST_AT_ONCE = 500


async def forget_replaced_values(database: Database, grace: timedelta = _GRACE) -> int:
    """Remove values that were replaced or deleted `grace` ago and that no sandbox has; returns how many."""
    has_running = exists().where(Execution.sandbox_id == Sandbox.id, NOT_ENDED)
    is_needed = (
        exists()
        .where(SandboxSecret.version_id == SecretVersion.id, Sandbox.id == SandboxSecret.sandbox_id)
        .where(or_(Sandbox.status != SandboxStatus.TERMINATED, has_running))
    )
    async with database.system_transaction() as session:
        due = select(SecretVersion.id).where(SecretVersion.replaced_at < func.now() - grace, ~is_needed)
        removed = await session.execute(
            delete(SecretVersion)
            .where(SecretVersion.id.in_(due.limit(_MOST_AT_ONCE)))
            .returning(SecretVersion.id),
            execution_options={"synchronize_session": False},
        )
        return len(list(removed))
