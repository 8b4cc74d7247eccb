"""The queue of creations at each provider's account: rows, so that it is one for all our processes.

Those that wait are the sandboxes' rows without `asked_at`, by `turn`. A project's next turn is one after its
last that waits, and one after the turn that was taken last: so each project that waits gets one turn before
any gets another. Whoever changes the queue holds the lock of its `ProviderQueue` row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.database import seeing_all_projects
from commandcenter.leases import has_lapsed
from commandcenter.providers.pacing import Pace, pause_after, why_waiting
from commandcenter.providers.sandboxes import Provider
from commandcenter.sandboxes.errors import ProviderQueueFullError
from commandcenter.sandboxes.records import WAITS_FOR_TURN, ProviderQueue, Sandbox
from commandcenter.sandboxes.states import SandboxStatus

_LONGEST_PAUSE_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.01
# Those who wait are told their places so often, and so many rows a second are rewritten for it at most.
_TOLD_EVERY_SECONDS = 0.5
_TOLD_A_SECOND = 50


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at the queue came to.

    `taken` are those of the asking process whose turn it is now, `waiting` those that wait on; those in
    neither don't wait any more. `told` are (project, sandbox) of all whose place changed.
    """

    taken: list[UUID]
    waiting: set[UUID]
    told: list[tuple[UUID, UUID]] = field(default_factory=list)
    look_again_seconds: float = _LONGEST_PAUSE_SECONDS


class _Waiting(NamedTuple):
    """What of a waiting sandbox's row the queue is about."""

    id: UUID
    project_id: UUID
    owner: UUID | None
    turn: int | None
    status_reason: str | None


async def join_queue(session: AsyncSession, project_id: UUID, provider: str, pace: Pace) -> int:
    """The turn of one more creation of a project; `ProviderQueueFullError` where too many wait.

    A project that has none waiting always gets one: no project can fill the queue for the others.
    """
    queue = await _lock(session, provider)
    own = Sandbox.project_id == project_id
    waiting = select(func.count(), func.max(Sandbox.turn).filter(own)).where(
        Sandbox.provider == provider, WAITS_FOR_TURN
    )
    async with seeing_all_projects(session):
        count, last = (await session.execute(waiting)).one()
    if count >= pace.most_waiting and last is not None:
        raise ProviderQueueFullError(provider, count, pace.most_waiting)
    return int(max(queue.turn, last or 0)) + 1


async def take_turns(
    session: AsyncSession, provider: Provider, process_id: UUID, mine: Collection[UUID], lease: timedelta
) -> Round:
    """Take the turns that the process's creations may take now, and tell the others their places.

    The first in the queue is its own process's to take; others look again. The transaction sees all projects.
    """
    queue = await _lock(session, provider.name)
    at: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    pace = provider.account.pace
    rows = await _read(session, provider.name, lease)
    free, is_full = await _free_places(session, queue, pace, at)
    taken = _first_of(rows, free, process_id, mine)
    if taken:
        await session.execute(
            update(Sandbox).where(Sandbox.id.in_(taken)).values(asked_at=at, status_reason=None)
        )
        queue.turn = max(row.turn or 0 for row in rows if row.id in taken)
        queue.next_turn_at = at + pace.interval
    left = [row for row in rows if row.id not in taken]
    told = await _tell(session, queue, pace, left, at, is_full=is_full)
    waiting = {row.id for row in rows if row.owner == process_id}.intersection(mine).difference(taken)
    return Round(taken, waiting, told, _seconds_until_next(queue, at, is_full=is_full))


async def note_refusal(
    session: AsyncSession, provider: str, sandbox_id: UUID, process_id: UUID, advised_seconds: float | None
) -> bool:
    """Put a creation that the provider refused for now back into the queue, and pause the account.

    False where the creation is not this process's any more. The transaction sees all projects.
    """
    queue = await _lock(session, provider)
    sandbox = await session.get(Sandbox, sandbox_id, with_for_update=True)
    if sandbox is None or sandbox.owner != process_id or sandbox.asked_at is None:
        return False
    if sandbox.status is not SandboxStatus.CREATING or sandbox.termination_requested_at is not None:
        return False
    at: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    if queue.refused_at is None or sandbox.asked_at > queue.refused_at:
        # What was asked before an earlier refusal says nothing new.
        queue.refusals += 1
        queue.refused_at = at
    until = at + pause_after(queue.refusals, advised_seconds)
    queue.paused_until = max(until, queue.paused_until or until)
    sandbox.asked_at = None
    sandbox.turn = sandbox.turn if sandbox.turn is not None else queue.turn
    return True


async def note_success(session: AsyncSession, provider: str) -> None:
    """The provider takes creations again: more of them at once may be tried."""
    await session.execute(
        update(ProviderQueue)
        .where(ProviderQueue.provider == provider, ProviderQueue.refusals > 0)
        .values(refusals=ProviderQueue.refusals - 1)
    )


async def _lock(session: AsyncSession, provider: str) -> ProviderQueue:
    query = select(ProviderQueue).where(ProviderQueue.provider == provider).with_for_update()
    queue = await session.scalar(query)
    if queue is None:
        await session.execute(
            insert(ProviderQueue).values(provider=provider, turn=0, refusals=0).on_conflict_do_nothing()
        )
        queue = (await session.scalars(query)).one()
    return queue


async def _read(session: AsyncSession, provider: str, lease: timedelta) -> Sequence[_Waiting]:
    """Those that wait for a process that lives, in the order of their turns."""
    result = await session.execute(
        select(Sandbox.id, Sandbox.project_id, Sandbox.owner, Sandbox.turn, Sandbox.status_reason)
        .where(Sandbox.provider == provider, WAITS_FOR_TURN, ~has_lapsed(Sandbox, lease))
        .order_by(Sandbox.turn, Sandbox.id)
    )
    return [_Waiting(*row) for row in result]


async def _free_places(
    session: AsyncSession, queue: ProviderQueue, pace: Pace, at: datetime
) -> tuple[int | None, bool]:
    """How many turns may be taken now (None: any number), and whether as many sandboxes run as may."""
    free: int | None = None
    is_full = False
    if pace.sandboxes_at_once is not None or queue.refusals:
        being_made = Sandbox.status == SandboxStatus.CREATING
        counts = select(func.count(), func.count().filter(being_made)).where(
            Sandbox.provider == queue.provider,
            Sandbox.status.in_((SandboxStatus.CREATING, SandboxStatus.RUNNING)),
            ~(being_made & Sandbox.asked_at.is_(None)),
        )
        occupied, in_the_making = (await session.execute(counts)).one()
        if queue.refusals:
            # It is tried with one at a time whether it takes them again.
            free = 1 - in_the_making
        if pace.sandboxes_at_once is not None:
            left = pace.sandboxes_at_once - occupied
            is_full = left <= 0
            free = left if free is None else min(free, left)
    if pace.creates_per_second is not None:
        free = 1 if free is None else min(free, 1)
    if any(moment is not None and moment > at for moment in (queue.paused_until, queue.next_turn_at)):
        free = 0
    return free, is_full


def _first_of(
    rows: Sequence[_Waiting], free: int | None, process_id: UUID, mine: Collection[UUID]
) -> list[UUID]:
    taken: list[UUID] = []
    for row in rows:
        if row.owner != process_id or row.id not in mine or (free is not None and len(taken) >= free):
            break
        taken.append(row.id)
    return taken


async def _tell(
    session: AsyncSession,
    queue: ProviderQueue,
    pace: Pace,
    rows: Sequence[_Waiting],
    at: datetime,
    *,
    is_full: bool,
) -> list[tuple[UUID, UUID]]:
    """Write down the places of those who wait: of new ones at once, of all the less often the more wait."""
    interval = timedelta(seconds=max(_TOLD_EVERY_SECONDS, len(rows) / _TOLD_A_SECOND))
    is_time = queue.told_at is None or queue.told_at <= at - interval
    paused_until = queue.paused_until if queue.paused_until and queue.paused_until > at else None
    reasons = [
        why_waiting(queue.provider, pace, place, len(rows), is_full=is_full, paused_until=paused_until)
        for place in range(1, len(rows) + 1)
    ]
    changed = [
        (row, reason)
        for row, reason in zip(rows, reasons, strict=True)
        if row.status_reason is None or (is_time and row.status_reason != reason)
    ]
    if not changed:
        return []
    if is_time:
        queue.told_at = at
    connection = await session.connection()
    await connection.execute(
        update(Sandbox)
        .where(Sandbox.id == bindparam("waiting_id"), WAITS_FOR_TURN)
        .values(status_reason=bindparam("reason")),
        [{"waiting_id": row.id, "reason": reason} for row, reason in changed],
    )
    return [(row.project_id, row.id) for row, _ in changed]


def _seconds_until_next(queue: ProviderQueue, at: datetime, *, is_full: bool) -> float:
    moments = [moment for moment in (queue.paused_until, queue.next_turn_at) if moment and moment > at]
    if is_full or not moments:
        return _LONGEST_PAUSE_SECONDS
    seconds = (max(moments) - at).total_seconds()
    return min(max(seconds, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
