"""What counts as activity of a sandbox: commands, input and file operations; looking at it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_SHORTEST_TOUCH_SECONDS = 0.5
_LONGEST_TOUCH_SECONDS = 30.0

_log = structlog.get_logger()


async def touch(services: Services, scope: Scope, sandbox_id: UUID) -> None:
    """Note that the sandbox was used just now."""
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == sandbox_id, Sandbox.project_id == scope.project_id)
            .values(last_activity_at=now())
        )


async def use_sandbox(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    """The sandbox, noted as used just now; `SandboxStateError` where it does not run, or is about to end."""
    async with services.database.transaction(scope.project_id) as session:
        sandbox: Sandbox | None = await session.scalar(
            update(Sandbox)
            .where(
                Sandbox.id == sandbox_id,
                Sandbox.project_id == scope.project_id,
                Sandbox.status == SandboxStatus.RUNNING,
                Sandbox.termination_requested_at.is_(None),
            )
            .values(last_activity_at=now())
            .returning(Sandbox)
        )
        if sandbox is None:
            raise SandboxStateError(await get_sandbox(session, scope, sandbox_id), SandboxStatus.RUNNING)
    return sandbox


@asynccontextmanager
async def in_use(services: Services, scope: Scope, sandbox: Sandbox) -> AsyncIterator[None]:
    """Keep the sandbox from becoming idle for as long as the block runs, and note its end as a use."""
    keeper = asyncio.create_task(_touch_regularly(services, scope, sandbox), name="in-use")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await _touch_if_possible(services, scope, sandbox.id)


async def _touch_regularly(services: Services, scope: Scope, sandbox: Sandbox) -> None:
    if sandbox.idle_timeout_seconds is None:
        return
    pause = min(max(sandbox.idle_timeout_seconds / 3, _SHORTEST_TOUCH_SECONDS), _LONGEST_TOUCH_SECONDS)
    while True:
        await asyncio.sleep(pause)
        await _touch_if_possible(services, scope, sandbox.id)


async def _touch_if_possible(services: Services, scope: Scope, sandbox_id: UUID) -> None:
    """What is going on must not break because it can't be noted."""
    try:
        await touch(services, scope, sandbox_id)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("activity.not_noted", sandbox_id=str(sandbox_id), error=str(error)[:500])
