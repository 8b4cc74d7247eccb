"""Giving a running sandbox more, or less, time to live."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import InvalidError
from commandcenter.events.actions import record_event
from commandcenter.projects.records import Project
from commandcenter.sandboxes.changes import announce_sandbox
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services


async def extend_sandbox(services: Services, scope: Scope, sandbox_id: UUID, ttl_seconds: int) -> Sandbox:
    """Let a running sandbox live `ttl_seconds` from now, up to the project's ceiling from its start."""
    scope.require(Role.OPERATOR)
    async with services.database.transaction(scope.project_id) as session:
        sandbox = await get_sandbox(session, scope, sandbox_id)
        project = (await session.execute(select(Project).where(Project.id == scope.project_id))).scalar_one()
    if sandbox.status is not SandboxStatus.RUNNING or sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
    _require_within_ceiling(sandbox, project, ttl_seconds)
    await services.providers.get(sandbox.provider).set_ttl(sandbox.provider_sandbox_id, ttl_seconds)
    async with services.database.transaction(scope.project_id) as session:
        extended: Sandbox | None = await session.scalar(
            update(Sandbox)
            .where(Sandbox.id == sandbox_id, Sandbox.status == SandboxStatus.RUNNING)
            .values(expires_at=now() + timedelta(seconds=ttl_seconds))
            .returning(Sandbox)
        )
        if extended is None:
            raise SandboxStateError(await get_sandbox(session, scope, sandbox_id), SandboxStatus.RUNNING)
        record_event(
            session, scope, "sandbox.extended", sandbox_id, sandbox_id=sandbox_id, ttl_seconds=ttl_seconds
        )
    announce_sandbox(services.signals, extended)
    return extended


def _require_within_ceiling(sandbox: Sandbox, project: Project, ttl_seconds: int) -> None:
    lived = (now() - (sandbox.started_at or sandbox.created_at)).total_seconds()
    most = int(project.max_ttl_seconds - lived)
    if not 1 <= ttl_seconds <= most:
        raise InvalidError(
            f"ttlSeconds must be between 1 and {max(most, 1)}: a sandbox of this project lives at most "
            f"{project.max_ttl_seconds} seconds from its start (maxTtlSeconds).",
            ("ttlSeconds",),
        )
