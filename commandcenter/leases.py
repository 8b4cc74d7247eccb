"""Leases: which process of ours takes care of a record, and for how long without saying so again.

A record that can be owned has `owner`, a process's id, and `lease_until`. A process renews the leases of all
that its tasks take care of; what nobody renews any more was owned by a process that died, or by a task that
broke down. Times are the database's alone, as clocks differ.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.database import Database

LEASE = timedelta(seconds=10)
RENEW_SECONDS = 3.0
# An owner that lives renews within this time of the database's coming back.
_MARGIN = timedelta(seconds=RENEW_SECONDS)


def has_lapsed(record: Any) -> ColumnElement[bool]:
    """The condition that no process takes care of a record of the class any more."""
    return or_(record.lease_until.is_(None), record.lease_until < func.now() - _MARGIN)


async def database_came_up_just_now(session: AsyncSession) -> bool:
    """Whether leases may have run out only because the database was away."""
    started = select(func.pg_postmaster_start_time() > func.now() - LEASE)
    return bool(await session.scalar(started))


async def renew_leases_of(
    database: Database, process_id: UUID, record: Any, ids: Sequence[UUID], unfinished: ColumnElement[bool]
) -> None:
    """Renew a process's leases of those `ids` of a class that are `unfinished` and still its own."""
    if not ids:
        return
    async with database.system_transaction() as session:
        await session.execute(
            update(record)
            .where(record.id.in_(ids), record.owner == process_id, unfinished)
            .values(lease_until=func.now() + LEASE)
        )


async def release_leases_of(
    database: Database, process_id: UUID, record: Any, unfinished: ColumnElement[bool]
) -> None:
    """Let go of everything of a class that a process owns: others need not wait for the leases."""
    async with database.system_transaction() as session:
        await session.execute(
            update(record)
            .where(record.owner == process_id, unfinished)
            .values(lease_until=func.now() - LEASE - _MARGIN)
        )
