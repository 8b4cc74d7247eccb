"""What must happen to snapshots without anybody asking: making and deleting them is brought to its end.

Everything is read from rows, so it holds whichever process runs it, and after any restart.
"""

import asyncio
from collections import defaultdict
from datetime import timedelta
from functools import partial

from sqlalchemy import or_, select

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.providers.errors import ProviderUnavailableError
from commandcenter.sandboxes.rounds import Step, do_all
from commandcenter.services import Services
from commandcenter.snapshots.attempts import ATTEMPT_SECONDS, may_be_tried, record_failure, try_turn
from commandcenter.snapshots.changes import change_snapshot
from commandcenter.snapshots.delete import finish_deletion
from commandcenter.snapshots.names import name_at_provider
from commandcenter.snapshots.records import Snapshot
from commandcenter.snapshots.states import SnapshotStatus

_MOST_AT_ONCE = 100
_STEP_SECONDS = 45.0
_PATIENCE = timedelta(seconds=120)
"""So long a provider may take to show a snapshot that it did not confirm."""
_NOT_THERE = "Its provider does not have it: it was not made."


async def settle_snapshots(services: Services) -> None:
    """One round: look for those whose making is open, and delete those that are to be deleted."""
    unsettled = or_(Snapshot.status == SnapshotStatus.CREATING, Snapshot.deletion_requested_at.is_not(None))
    query = select(Snapshot).where(unsettled, *may_be_tried()).order_by(Snapshot.id).limit(_MOST_AT_ONCE)
    steps: defaultdict[str, list[Step]] = defaultdict(list)
    async with services.database.system_transaction() as session:
        for snapshot in await session.scalars(query):
            steps[snapshot.provider].append(partial(_settle, services, snapshot))
    await asyncio.gather(
        *(do_all("snapshots", provider, due, step_seconds=_STEP_SECONDS) for provider, due in steps.items())
    )


async def _settle(services: Services, snapshot: Snapshot) -> None:
    if snapshot.deletion_requested_at is not None:
        await finish_deletion(services, system_scope(snapshot.project_id, "snapshots"), snapshot)
        return
    async with services.database.transaction(snapshot.project_id) as session:
        turn = await try_turn(session, snapshot)
    if turn is not None:
        await _find_out(services, turn)


async def _find_out(services: Services, turn: Snapshot) -> None:
    """Whether a snapshot whose maker died, or was not answered, was made."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            provider = services.providers.get(turn.provider)
            found = await provider.find_snapshot(name_at_provider(services.instance_id, turn))
    except TimeoutError:
        await record_failure(services, turn, ProviderUnavailableError("It did not answer in time."))
        return
    except DomainError as error:
        await record_failure(services, turn, error)
        return
    scope = system_scope(turn.project_id, "snapshots")
    async with services.database.transaction(turn.project_id) as session:
        if found is not None:
            await change_snapshot(session, scope, turn, SnapshotStatus.READY, provider_snapshot_id=found)
        elif turn.created_at < now() - _PATIENCE:
            await change_snapshot(
                session,
                scope,
                turn,
                SnapshotStatus.FAILED,
                status_reason=_NOT_THERE,
                # Freed, so that the caller's next try with the same key is a real one.
                idempotency_key=None,
            )
    if found is None and turn.created_at >= now() - _PATIENCE:
        await record_failure(services, turn, ProviderUnavailableError("It is not there yet."))
