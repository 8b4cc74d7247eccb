"""Leases: which process of ours takes care of a record, and for how long without saying so again.

A record that can be owned has `owner`, a process's id, and `lease_until`. A process renews the leases of all
that its tasks take care of; what nobody renews any more was owned by a process that died, or by a task that
broke down. Times are the database's alone, as clocks differ.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

RENEWALS_A_LEASE = 4


def has_lapsed(record: Any, lease: timedelta) -> ColumnElement[bool]:
    """The condition that no process takes care of a record of the class any more.

    An owner that lives renews within a part of its lease once the database has come back.
    """
    return or_(record.lease_until.is_(None), record.lease_until < func.now() - lease / RENEWALS_A_LEASE)


async def database_came_up_just_now(session: AsyncSession, lease: timedelta) -> bool:
    """Whether leases may have run out only because the database was away."""
    started = select(func.pg_postmaster_start_time() > func.now() - lease)
    return bool(await session.scalar(started))
