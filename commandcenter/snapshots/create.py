"""Making a snapshot: the intent first, then the provider, then what came of it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.idempotency import find_or_insert, fingerprint, require_valid_key
from commandcenter.identifiers import new_id
from commandcenter.projects.records import Project
from commandcenter.providers.errors import ProviderUnavailableError
from commandcenter.sandboxes.changes import announce_sandbox
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.pause import provider_id
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus
from commandcenter.sandboxes.turns import give_turn_back, take_turn, within_turn
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic
from commandcenter.snapshots.changes import change_snapshot
from commandcenter.snapshots.errors import SnapshotQuotaError
from commandcenter.snapshots.names import name_at_provider
from commandcenter.snapshots.queries import get_snapshot
from commandcenter.snapshots.records import Snapshot
from commandcenter.snapshots.states import SnapshotStatus
from commandcenter.texts import require_text

_LONGEST_NAME = 200
_MAKING = timedelta(seconds=90)
"""More than waiting for the sandbox's turn and for the provider can take."""
_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class CreateSnapshot:
    """What is asked of a snapshot: a name for people."""

    name: str | None = None
    idempotency_key: str | None = None


async def create_snapshot(
    services: Services, scope: Scope, sandbox_id: UUID, request: CreateSnapshot
) -> Snapshot:
    """Keep what a running sandbox's files are now; answers when that is done.

    The same `idempotency_key` twice, even at the same moment, is the same snapshot. Raises `InvalidError`,
    `ConflictError`, `SandboxStateError`, `SnapshotQuotaError` or a provider's error; after any of them there
    is no snapshot. Where the provider did not say what came of it, the snapshot is returned as it is, and
    the upkeep finds out.
    """
    scope.require(Role.OPERATOR)
    require_valid_key(request.idempotency_key)
    require_text(request.name, "name", _LONGEST_NAME)
    wanted = fingerprint(request, sandbox_id)
    existing, snapshot = await find_or_insert(
        services.database,
        scope.project_id,
        Snapshot,
        request.idempotency_key,
        wanted,
        partial(_insert, scope=scope, sandbox_id=sandbox_id, request=request, wanted=wanted),
    )
    if snapshot is None:
        return await _await_making(services, scope, existing)
    # Shielded: a caller that goes away must not leave a snapshot that nobody knows.
    return await asyncio.shield(
        services.background.start(_make(services, scope, snapshot), "create-snapshot")
    )


async def _insert(
    session: AsyncSession, scope: Scope, sandbox_id: UUID, request: CreateSnapshot, wanted: str
) -> Snapshot:
    # Locked, so that two requests cannot both take the last free place.
    limit = (
        await session.execute(
            select(Project.max_snapshots)
            .where(Project.id == scope.project_id)
            .with_for_update(key_share=True)
        )
    ).scalar_one()
    sandbox = await get_sandbox(session, scope, sandbox_id)
    if sandbox.status is not SandboxStatus.RUNNING:
        raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
    kept = select(func.count()).where(
        Snapshot.project_id == scope.project_id, Snapshot.status != SnapshotStatus.FAILED
    )
    if (await session.execute(kept)).scalar_one() >= limit:
        raise SnapshotQuotaError(limit)
    snapshot = Snapshot(
        id=new_id(),
        project_id=scope.project_id,
        sandbox_id=sandbox_id,
        name=request.name,
        provider=sandbox.provider,
        template=sandbox.template,
        status=SnapshotStatus.CREATING,
        action_until=func.clock_timestamp() + _MAKING,
        idempotency_key=request.idempotency_key,
        request_fingerprint=wanted,
        created_by=scope.actor,
    )
    session.add(snapshot)
    record_event(session, scope, "snapshot.requested", snapshot.id, sandbox_id=sandbox_id)
    await session.flush()
    await session.refresh(snapshot)
    return snapshot


async def _make(services: Services, scope: Scope, snapshot: Snapshot) -> Snapshot:
    try:
        made_as = await _capture(services, scope, snapshot)
    except ProviderUnavailableError as error:
        return await _record_doubt(services, scope, snapshot, error)
    except DomainError as error:
        await _take_back(services, scope, snapshot, error)
        raise
    async with services.database.transaction(scope.project_id) as session:
        ready = await change_snapshot(
            session, scope, snapshot, SnapshotStatus.READY, provider_snapshot_id=made_as
        )
        return ready or await get_snapshot(session, scope, snapshot.id)


async def _capture(services: Services, scope: Scope, snapshot: Snapshot) -> str:
    """Capture the sandbox while nothing else is done to it; the provider's name for what was captured."""
    turn = await take_turn(
        services, scope, snapshot.sandbox_id, SandboxAction.SNAPSHOT, SandboxStatus.RUNNING
    )
    try:
        async with within_turn(turn):
            provider = services.providers.get(turn.provider)
            name = name_at_provider(services.instance_id, snapshot)
            return await provider.create_snapshot(provider_id(turn), name)
    finally:
        await give_turn_back(services, turn)
        announce_sandbox(services.signals, turn)


async def _record_doubt(services: Services, scope: Scope, snapshot: Snapshot, error: DomainError) -> Snapshot:
    """Whether it was made is not known: let the upkeep look for it."""
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            update(Snapshot)
            .where(Snapshot.id == snapshot.id, Snapshot.status == SnapshotStatus.CREATING)
            .values(
                status_reason=f"Whether it was made is being found out: {error.message}", action_until=None
            ),
            execution_options={"synchronize_session": False},
        )
        return await get_snapshot(session, scope, snapshot.id)


async def _take_back(services: Services, scope: Scope, snapshot: Snapshot, error: DomainError) -> None:
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(delete(Snapshot).where(Snapshot.id == snapshot.id))
        record_event(
            session,
            scope,
            "snapshot.refused",
            snapshot.id,
            sandbox_id=snapshot.sandbox_id,
            code=error.code,
            message=error.message,
        )


async def _await_making(services: Services, scope: Scope, snapshot: Snapshot) -> Snapshot:
    """The snapshot of an earlier request with the same key, once it is made, or while nobody knows."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _MAKING.total_seconds()
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while True:
            async with services.database.transaction(scope.project_id) as session:
                current = await session.get(Snapshot, snapshot.id)
            if current is None:
                raise ProviderUnavailableError("The request with this idempotency key failed. Try again.")
            if current.status is not SnapshotStatus.CREATING or current.action_until is None:
                return current
            if loop.time() > deadline:
                return current
            await listener.wait_for(str(snapshot.sandbox_id), _LOOK_AGAIN_SECONDS)
