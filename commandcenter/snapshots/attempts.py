"""Attempts at what a provider is still to do about a snapshot: one at a time, later after each failure."""

from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, func, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.errors import DomainError
from commandcenter.retries import seconds_until_retry
from commandcenter.services import Services
from commandcenter.snapshots.records import Snapshot

_log = structlog.get_logger()

ATTEMPT_SECONDS = 35.0
_TURN = timedelta(seconds=ATTEMPT_SECONDS + 5)


def may_be_tried() -> list[ColumnElement[bool]]:
    """Nobody is at it, and it is time."""
    return [
        or_(Snapshot.action_until.is_(None), Snapshot.action_until < func.now()),
        or_(Snapshot.retry_at.is_(None), Snapshot.retry_at <= func.now()),
    ]


async def try_turn(session: AsyncSession, snapshot: Snapshot) -> Snapshot | None:
    """Take the turn of a snapshot that is as it was read and may be tried; None where it is not."""
    taken: Snapshot | None = await session.scalar(
        update(Snapshot)
        .where(
            Snapshot.id == snapshot.id,
            Snapshot.status == snapshot.status,
            Snapshot.deletion_requested_at.is_not_distinct_from(snapshot.deletion_requested_at),
            *may_be_tried(),
        )
        .values(action_until=func.clock_timestamp() + _TURN)
        .returning(Snapshot),
        execution_options={"populate_existing": True, "synchronize_session": False},
    )
    return taken


async def record_failure(services: Services, turn: Snapshot, error: DomainError) -> None:
    """Note that an attempt failed, and when the next one may be made; that ends the turn."""
    attempts = turn.failed_attempts + 1
    _log.warning("snapshot.attempt_failed", snapshot_id=str(turn.id), attempts=attempts, error=error.message)
    async with services.database.transaction(turn.project_id) as session:
        await session.execute(
            update(Snapshot)
            .where(Snapshot.id == turn.id, Snapshot.action_until == turn.action_until)
            .values(
                failed_attempts=attempts,
                retry_at=func.now() + timedelta(seconds=seconds_until_retry(attempts, error)),
                action_until=None,
            ),
            execution_options={"synchronize_session": False},
        )
