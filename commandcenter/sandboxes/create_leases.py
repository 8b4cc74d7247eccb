"""The leases of sandboxes that are being made, and what becomes of those whose maker died."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, func, or_, select, update

from commandcenter.access.scope import Scope, system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.leases import RENEWALS_A_LEASE, database_came_up_just_now, has_lapsed
from commandcenter.sandboxes.create_at_provider import Creation, make_sandbox
from commandcenter.sandboxes.create_marked import find_marked
from commandcenter.sandboxes.create_outcomes import record_failure, record_start
from commandcenter.sandboxes.errors import CreationFailedError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_LOOK_SECONDS = 1.5
_MOST_AT_ONCE = 100
# So long may a provider be at work on a request, and a moment more until it lists what it made.
_LONGEST_REQUEST = timedelta(seconds=35)
_SECONDS_BETWEEN_LOOKS = 1.0

_BEING_MADE = Sandbox.status == SandboxStatus.CREATING

_log = structlog.get_logger()


@asynccontextmanager
async def creations_kept(services: Services) -> AsyncIterator[None]:
    """Renew leases and take up what the dead were making for as long as the block runs; then leave ours."""
    renewal = asyncio.create_task(_renew_regularly(services), name="renew-creations")
    settling = asyncio.create_task(_settle_regularly(services), name="settle-creations")
    try:
        yield
    finally:
        settling.cancel()
        # First the work, then the leases: others must not take up what is still at work here.
        await services.background.stop()
        renewal.cancel()
        await asyncio.gather(renewal, settling, return_exceptions=True)
        await _set_leases(services, [Sandbox.owner == services.process_id], -2 * services.settings.lease)


async def _renew_regularly(services: Services) -> None:
    while True:
        await asyncio.sleep(services.settings.lease_seconds / RENEWALS_A_LEASE)
        owned = services.owned_creations.ids()
        if not owned:
            continue
        ours = [Sandbox.id.in_(owned), Sandbox.owner == services.process_id]
        try:
            await _set_leases(services, ours, services.settings.lease)
        except Exception:
            # Whatever it was: without leases everything that this process makes would be taken from it.
            _log.warning("leases.renew_failed", exc_info=True)


async def _set_leases(services: Services, which: Sequence[ColumnElement[bool]], from_now: timedelta) -> None:
    async with services.database.system_transaction() as session:
        await session.execute(
            update(Sandbox).where(_BEING_MADE, *which).values(lease_until=func.now() + from_now)
        )


async def _settle_regularly(services: Services) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await settle_creations(services)
        except Exception:
            _log.warning("creations.settle_failed", exc_info=True)


async def settle_creations(services: Services) -> int:
    """Take up the creations whose maker died; returns how many.

    One that its provider was asked for is looked for there by our mark; one that waited for its turn waits on
    here, if its row holds all that it needs.
    """
    taken_up = await _take_over(services)
    for sandbox in taken_up:
        services.background.start(_settle(services, sandbox), "settle-creation")
    return len(taken_up)


async def _take_over(services: Services) -> Sequence[Sandbox]:
    async with services.database.system_transaction() as session:
        if await database_came_up_just_now(session, services.settings.lease):
            return []
        # Whoever does not know the provider leaves it to others, for as long as it may be waited for.
        is_ours = or_(
            Sandbox.provider.in_([provider.name for provider in services.providers]),
            Sandbox.created_at < func.now() - timedelta(seconds=services.settings.creation_seconds),
        )
        lapsed = (
            select(Sandbox.id)
            .where(
                _BEING_MADE,
                has_lapsed(Sandbox, services.settings.lease),
                Sandbox.termination_requested_at.is_(None),
                Sandbox.id.not_in(services.owned_creations.ids()),
                is_ours,
            )
            .order_by(Sandbox.id)
            .limit(_MOST_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        taken = await session.scalars(
            update(Sandbox)
            .where(Sandbox.id.in_(lapsed.scalar_subquery()))
            .values(owner=services.process_id, lease_until=func.now() + services.settings.lease)
            .returning(Sandbox),
            execution_options={"synchronize_session": False},
        )
        return list(taken)


async def _settle(services: Services, sandbox: Sandbox) -> None:
    scope = system_scope(sandbox.project_id, "creation")
    _log.warning("creation.taken_up", sandbox_id=str(sandbox.id), asked=sandbox.asked_at is not None)
    with services.owned_creations.owning(sandbox.id):
        try:
            if sandbox.asked_at is not None:
                await _find(services, scope, sandbox)
            elif sandbox.is_repeatable:
                await make_sandbox(services, _creation(services, scope, sandbox))
            else:
                raise CreationFailedError(
                    "The process of CommandCenter that made it ended while it waited for its turn, and its "
                    "environment variables are not stored. Ask again."
                )
        except DomainError as error:
            # Recorded already, where its making was begun again: then nothing changes.
            await record_failure(services, scope, sandbox, error)


def _creation(services: Services, scope: Scope, sandbox: Sandbox) -> Creation:
    moment = asyncio.get_running_loop().time()
    left = services.settings.creation_seconds - (now() - sandbox.created_at).total_seconds()
    return Creation(
        scope=scope,
        provider=services.providers.get(sandbox.provider),
        sandbox=sandbox,
        answer_by=moment,
        give_up_at=moment + left,
    )


async def _find(services: Services, scope: Scope, sandbox: Sandbox) -> None:
    """Adopt what its provider made; the provider may still be at work on the request."""
    provider = services.providers.get(sandbox.provider)
    asked_at = sandbox.asked_at or sandbox.created_at
    looks: list[float] = [0.0]
    while True:
        found = await find_marked(services, provider, sandbox, looks)
        if found is not None:
            await record_start(services, scope, provider, sandbox, found, adopted=True)
            return
        if now() >= asked_at + _LONGEST_REQUEST:
            raise CreationFailedError(
                "The process of CommandCenter that made it ended, and its provider does not have it. Ask "
                "again."
            )
        looks = [_SECONDS_BETWEEN_LOOKS]
