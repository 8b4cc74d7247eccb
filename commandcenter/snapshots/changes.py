"""Changing a snapshot's state, with its event."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.events.actions import record_event
from commandcenter.snapshots.records import Snapshot
from commandcenter.snapshots.states import TRANSITIONS, SnapshotStatus
from commandcenter.transitions import change_state

_EVENT_KINDS = {SnapshotStatus.READY: "snapshot.created", SnapshotStatus.FAILED: "snapshot.failed"}


async def change_snapshot(
    session: AsyncSession, scope: Scope, snapshot: Snapshot, target: SnapshotStatus, **values: Any
) -> Snapshot | None:
    """Bring a snapshot to `target`, its work done, where its state allows it; None where it does not."""
    changed: Snapshot | None = await change_state(
        session,
        Snapshot,
        snapshot.id,
        TRANSITIONS,
        target,
        **{"status_reason": None, "action_until": None, "failed_attempts": 0, "retry_at": None, **values},
    )
    if changed is not None:
        record_event(
            session,
            scope,
            _EVENT_KINDS[target],
            snapshot.id,
            sandbox_id=snapshot.sandbox_id,
            status=target,
            reason=changed.status_reason,
        )
    return changed
