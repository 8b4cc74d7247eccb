"""Leases: which process of ours reads an execution, and for how long without saying so again.

A process renews the leases of all that its tasks read. What nobody renews any more was owned by a process
that died, or by a task that broke down: `takeover` gives it another owner. Times are the database's alone,
as clocks differ.
"""

import asyncio

import structlog
from sqlalchemy import func, select, update

from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED
from commandcenter.services import Services

_log = structlog.get_logger()

RENEWALS_A_LEASE = 4


async def renew_leases(services: Services) -> None:
    """Renew this process's leases until cancelled."""
    while True:
        await asyncio.sleep(services.settings.lease_seconds / RENEWALS_A_LEASE)
        try:
            await _renew(services)
        except Exception:
            # Whatever it was: without leases everything that this process reads would go to others.
            _log.warning("leases.renew_failed", exc_info=True)


async def _renew(services: Services) -> None:
    owned = services.owned_executions.ids()
    if not owned:
        return
    async with services.database.system_transaction() as session:
        renewed = await session.scalars(
            update(Execution)
            .where(
                Execution.id.in_(owned),
                Execution.owner == services.process_id,
                Execution.status.not_in(ENDED),
            )
            .values(lease_until=func.now() + services.settings.lease)
            .returning(Execution.id),
            execution_options={"synchronize_session": False},
        )
        ours = set(renewed)
        others = await session.scalars(
            select(Execution.id).where(
                Execution.id.in_(set(owned) - ours), Execution.owner != services.process_id
            )
        )
        services.owned_executions.let_go(set(others))


async def release_leases(services: Services) -> None:
    """Let go of everything that this process owns, because it stops: others need not wait for the leases."""
    async with services.database.system_transaction() as session:
        await session.execute(
            update(Execution)
            .where(Execution.owner == services.process_id, Execution.status.not_in(ENDED))
            .values(lease_until=func.now() - services.settings.lease)
        )
