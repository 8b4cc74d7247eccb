"""Taking over executions whose owner died: another process reads on from the last stored byte.

Every process of ours looks for them. What one claims is locked until its commit, and the others pass it by;
so each execution gets one new owner.
"""

import asyncio

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import system_scope
from commandcenter.events.actions import record_event
from commandcenter.executions.records import NOT_ENDED, Execution
from commandcenter.executions.run import read_on
from commandcenter.leases import database_came_up_just_now, has_lapsed
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services

_log = structlog.get_logger()

LOOK_SECONDS = 1.5
# Few enough that the other processes get their part, enough to be done in some seconds.
_MOST_AT_ONCE = 100


async def take_over_regularly(services: Services) -> None:
    """Look for executions without an owner, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await take_over(services)
        except Exception:
            _log.warning("executions.take_over_failed", exc_info=True)


async def take_over(services: Services) -> int:
    """Claim executions whose lease has run out, and read on; returns how many."""
    async with services.database.system_transaction() as session:
        if await database_came_up_just_now(session, services.settings.lease):
            return 0
        claimed = await _claim(services, session)
    for execution in claimed:
        _log.info("execution.taken_over", execution_id=str(execution.id))
        scope = system_scope(execution.project_id, "takeover")
        services.owned_executions.add(execution.id)
        services.background.start(read_on(services, scope, execution), "read-on")
    return len(claimed)


async def _claim(services: Services, session: AsyncSession) -> list[Execution]:
    lease = services.settings.lease
    names = [provider.name for provider in services.providers]
    # What this process has no account for, another may have.
    reachable = select(Sandbox.id).where(Sandbox.provider.in_(names))
    ownerless = (
        select(Execution.id)
        .where(
            NOT_ENDED,
            has_lapsed(Execution, lease),
            Execution.id.not_in(services.owned_executions.ids()),
            Execution.sandbox_id.in_(reachable),
        )
        .order_by(Execution.lease_until)
        .limit(_MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    claimed = await session.scalars(
        update(Execution)
        .where(Execution.id.in_(ownerless.scalar_subquery()))
        .values(owner=services.process_id, lease_until=func.now() + lease)
        .returning(Execution),
        execution_options={"synchronize_session": False, "populate_existing": True},
    )
    executions = list(claimed)
    for execution in executions:
        record_event(
            session,
            system_scope(execution.project_id, "takeover"),
            "execution.taken_over",
            execution.id,
            sandbox_id=execution.sandbox_id,
            status=execution.status,
        )
    return executions
