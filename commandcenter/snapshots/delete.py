"""Deleting a snapshot: gone for its project at once, at the provider as soon as it answers."""

import asyncio
from uuid import UUID

from sqlalchemy import delete, update

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.providers.errors import ProviderRateLimitedError, ProviderUnavailableError
from commandcenter.services import Services
from commandcenter.snapshots.attempts import ATTEMPT_SECONDS, record_failure, try_turn
from commandcenter.snapshots.errors import SnapshotStateError
from commandcenter.snapshots.names import name_at_provider
from commandcenter.snapshots.queries import get_snapshot
from commandcenter.snapshots.records import Snapshot
from commandcenter.snapshots.states import SnapshotStatus

_NOT_NOW = (ProviderUnavailableError, ProviderRateLimitedError, TimeoutError)


async def delete_snapshot(services: Services, scope: Scope, snapshot_id: UUID) -> Snapshot:
    """Delete a snapshot; the snapshot as it was.

    Where the provider does not answer, it is asked again until it does. Where it refuses, such as while a
    paused sandbox needs the snapshot, its error is raised and the snapshot is there as before.
    `SnapshotNotFoundError` for one that is not there, `SnapshotStateError` for one that is being made.
    """
    scope.require(Role.OPERATOR)
    async with services.database.transaction(scope.project_id) as session:
        snapshot = await get_snapshot(session, scope, snapshot_id)
        if snapshot.status is SnapshotStatus.CREATING:
            raise SnapshotStateError(snapshot)
        wished = await session.scalar(
            update(Snapshot)
            .where(Snapshot.id == snapshot_id, Snapshot.deletion_requested_at.is_(None))
            .values(deletion_requested_at=now(), failed_attempts=0, retry_at=None)
            .returning(Snapshot),
            execution_options={"populate_existing": True, "synchronize_session": False},
        )
        if wished is None:
            return snapshot
        record_event(
            session, scope, "snapshot.deletion_requested", snapshot_id, sandbox_id=snapshot.sandbox_id
        )
    return await asyncio.shield(
        services.background.start(_delete(services, scope, wished), "delete-snapshot")
    )


async def finish_deletion(services: Services, scope: Scope, snapshot: Snapshot) -> None:
    """Try to delete a snapshot at its provider, and then its record; what fails is tried again later.

    Raises what the provider refuses, which it may not refuse for ever.
    """
    async with services.database.transaction(snapshot.project_id) as session:
        turn = await try_turn(session, snapshot)
    if turn is None:
        return
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await services.providers.get(turn.provider).delete_snapshot(
                turn.provider_snapshot_id or name_at_provider(services.instance_id, turn)
            )
    except TimeoutError:
        await record_failure(services, turn, ProviderUnavailableError("It did not answer in time."))
        return
    except DomainError as error:
        await record_failure(services, turn, error)
        if not isinstance(error, _NOT_NOW):
            raise
        return
    async with services.database.transaction(turn.project_id) as session:
        await session.execute(delete(Snapshot).where(Snapshot.id == turn.id))
        record_event(session, scope, "snapshot.deleted", turn.id, sandbox_id=turn.sandbox_id)


async def _delete(services: Services, scope: Scope, wished: Snapshot) -> Snapshot:
    try:
        await finish_deletion(services, scope, wished)
    except DomainError as error:
        async with services.database.transaction(scope.project_id) as session:
            await session.execute(
                update(Snapshot)
                .where(Snapshot.id == wished.id)
                .values(deletion_requested_at=None, failed_attempts=0, retry_at=None),
                execution_options={"synchronize_session": False},
            )
            record_event(
                session,
                scope,
                "snapshot.deletion_refused",
                wished.id,
                sandbox_id=wished.sandbox_id,
                message=error.message,
            )
        raise
    return wished
