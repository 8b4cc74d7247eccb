"""Settling executions whose owner died: their end was not seen, and that is said."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import system_scope
from commandcenter.executions.changes import announce_execution, change_execution
from commandcenter.executions.leases import LEASE, RENEW_SECONDS
from commandcenter.executions.leftovers import end_leftover
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED, ExecutionStatus
from commandcenter.logs.gaps import gap_records
from commandcenter.services import Services

_MOST_AT_ONCE = 500
_OWNER_DIED = "The process of CommandCenter that read it ended before the command did."
# An owner that lives renews within this time of the database's coming back.
_MARGIN = timedelta(seconds=RENEW_SECONDS)


async def settle_abandoned(services: Services) -> int:
    """Say LOST, with a gap, of executions whose lease has run out; returns how many.

    What still runs of them is ended: nobody would see its output.
    """
    async with services.database.system_transaction() as session:
        if await _came_up_just_now(session):
            return 0
        found = await session.scalars(
            select(Execution).where(Execution.status.not_in(ENDED), _has_lapsed()).limit(_MOST_AT_ONCE)
        )
        abandoned: Sequence[Execution] = list(found)
    settled = 0
    for execution in abandoned:
        settled += await _settle(services, execution)
    return settled


async def _came_up_just_now(session: AsyncSession) -> bool:
    """Whether leases may have run out only because the database was away."""
    started = select(func.pg_postmaster_start_time() > func.now() - LEASE)
    return bool(await session.scalar(started))


def _has_lapsed() -> ColumnElement[bool]:
    return Execution.lease_until < func.now() - _MARGIN


async def _settle(services: Services, execution: Execution) -> bool:
    scope = system_scope(execution.project_id, "leases")
    async with services.database.transaction(execution.project_id) as session:
        current = await session.scalar(
            select(Execution)
            .where(Execution.id == execution.id, Execution.status.not_in(ENDED), _has_lapsed())
            .with_for_update()
        )
        if current is None:
            return False
        gaps = gap_records(current, _OWNER_DIED)
        lost = await change_execution(
            session,
            scope,
            execution.id,
            ExecutionStatus.LOST,
            status_reason=_OWNER_DIED,
            last_sequence=current.last_sequence + len(gaps),
        )
        session.add_all(gaps)
    if lost is None:
        return False
    announce_execution(services.signals, lost)
    services.background.start(end_leftover(services, scope, lost), "end-leftover")
    return True
