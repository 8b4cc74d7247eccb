"""The leases of sandboxes that are being made, and what becomes of those whose maker died."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy import func, or_, select, update

from commandcenter.access.scope import Scope, system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.leases import (
    LEASE,
    RENEW_SECONDS,
    database_came_up_just_now,
    has_lapsed,
    release_leases_of,
    renew_leases_of,
)
from commandcenter.sandboxes.create_at_provider import Creation, make_sandbox
from commandcenter.sandboxes.create_marked import find_marked
from commandcenter.sandboxes.create_outcomes import record_failure, record_start
from commandcenter.sandboxes.errors import CreationFailedError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_MOST_AT_ONCE = 100
# So long may a provider be at work on a request, and a moment more until it lists what it made.
_LONGEST_REQUEST = timedelta(seconds=35)
_SECONDS_BETWEEN_LOOKS = 1.0

_BEING_MADE = Sandbox.status == SandboxStatus.CREATING

_log = structlog.get_logger()


@asynccontextmanager
async def keeping_creations(services: Services) -> AsyncIterator[None]:
    """Keep the leases of the sandboxes that this process makes, for as long as the block runs."""
    renewing = asyncio.create_task(_renew_regularly(services), name="renew-creations")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        # First the work, then the leases: others must not take up what is still at work here.
        await services.background.stop()
        await release_leases_of(services.database, services.process_id, Sandbox, _BEING_MADE)


async def _renew_regularly(services: Services) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await renew_leases_of(
                services.database, services.process_id, Sandbox, services.owned_creations.ids(), _BEING_MADE
            )
        except Exception:
            # Whatever it was: without leases everything that this process makes would be taken from it.
            _log.warning("leases.renew_failed", exc_info=True)


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
        if await database_came_up_just_now(session):
            return []
        # Whoever does not know the provider leaves it to others, for as long as it may be waited for.
        is_ours = or_(
            Sandbox.provider.in_([provider.name for provider in services.providers]),
            Sandbox.created_at < func.now() - timedelta(seconds=services.settings.creation_seconds),
        )
        lapsed = (
            select(Sandbox.id)
            .where(_BEING_MADE, has_lapsed(Sandbox), Sandbox.termination_requested_at.is_(None), is_ours)
            .order_by(Sandbox.id)
            .limit(_MOST_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        taken = await session.scalars(
            update(Sandbox)
            .where(Sandbox.id.in_(lapsed.scalar_subquery()))
            .values(owner=services.process_id, lease_until=func.now() + LEASE)
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
