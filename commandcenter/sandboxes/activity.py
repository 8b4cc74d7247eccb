"""What counts as activity of a sandbox: commands, input and file operations; looking at it does not."""

from uuid import UUID

from sqlalchemy import update

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services


async def touch(services: Services, scope: Scope, sandbox_id: UUID) -> None:
    """Note that the sandbox was used just now."""
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == sandbox_id, Sandbox.project_id == scope.project_id)
            .values(last_activity_at=now())
        )
