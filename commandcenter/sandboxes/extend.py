"""Giving a running sandbox more, or less, time to live."""

import asyncio
import math
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError, InvalidError
from commandcenter.events.actions import record_event
from commandcenter.providers.errors import ProviderUnavailableError
from commandcenter.sandboxes.ceiling import require_seconds_left
from commandcenter.sandboxes.changes import announce_sandbox
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_MOST_TELLINGS = 10
_NEEDED = f"{SandboxStatus.RUNNING} and not about to end"


async def extend_sandbox(services: Services, scope: Scope, sandbox_id: UUID, ttl_seconds: int) -> Sandbox:
    """Let a running sandbox live `ttl_seconds` from now, up to the project's ceiling.

    `SandboxStateError` where it does not run or is about to end, `InvalidError` beyond the ceiling.
    """
    scope.require(Role.OPERATOR)
    # Shielded: a caller that goes away must not leave a provider that knows another time than we do.
    return await asyncio.shield(
        services.background.start(_extend(services, scope, sandbox_id, ttl_seconds), "extend-sandbox")
    )


async def _extend(services: Services, scope: Scope, sandbox_id: UUID, ttl_seconds: int) -> Sandbox:
    until = now() + timedelta(seconds=ttl_seconds)
    async with services.database.transaction(scope.project_id) as session:
        before = await _require_extensible(session, scope, sandbox_id, ttl_seconds)
        promised = await _move_end(session, before, before.expires_at, until)
        if promised is None:
            raise SandboxStateError(await get_sandbox(session, scope, sandbox_id), _NEEDED)
    try:
        extended = await _tell_provider(services, scope, promised)
    except DomainError:
        async with services.database.transaction(scope.project_id) as session:
            await _move_end(session, before, until, before.expires_at)
        raise
    async with services.database.transaction(scope.project_id) as session:
        record_event(
            session, scope, "sandbox.extended", sandbox_id, sandbox_id=sandbox_id, ttl_seconds=ttl_seconds
        )
    announce_sandbox(services.signals, extended)
    return extended


async def _require_extensible(
    session: AsyncSession, scope: Scope, sandbox_id: UUID, ttl_seconds: int
) -> Sandbox:
    # Locked, so that the time to go back to on a failure is the one that stood before.
    await session.execute(select(Sandbox.id).where(Sandbox.id == sandbox_id).with_for_update())
    sandbox = await get_sandbox(session, scope, sandbox_id)
    if sandbox.status is not SandboxStatus.RUNNING or sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
    if sandbox.termination_requested_at is not None:
        raise SandboxStateError(sandbox, _NEEDED)
    left = await require_seconds_left(session, sandbox)
    if not 1 <= ttl_seconds <= left:
        raise InvalidError(
            f"ttlSeconds must be between 1 and {left}: that is what is left to this sandbox of its project's "
            "maxTtlSeconds.",
            ("ttlSeconds",),
        )
    session.expunge(sandbox)
    return sandbox


async def _move_end(
    session: AsyncSession, sandbox: Sandbox, expected: datetime | None, until: datetime | None
) -> Sandbox | None:
    """Set when a running sandbox ends, if nobody set it otherwise or wished its end meanwhile."""
    return await session.scalar(
        update(Sandbox)
        .where(
            Sandbox.id == sandbox.id,
            Sandbox.status == SandboxStatus.RUNNING,
            Sandbox.termination_requested_at.is_(None),
            Sandbox.expires_at == expected,
            Sandbox.incarnation == sandbox.incarnation,
        )
        .values(expires_at=until, status_reason=None, failed_attempts=0, retry_at=None)
        .returning(Sandbox),
        execution_options={"synchronize_session": False},
    )


async def _tell_provider(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """Let the provider know the row's time; again, where somebody has moved it meanwhile.

    Of several who extend at once the last to be heard by the provider sees the row that stands.
    """
    provider = services.providers.get(sandbox.provider)
    for _ in range(_MOST_TELLINGS):
        told = sandbox.expires_at
        if sandbox.status is not SandboxStatus.RUNNING or told is None or sandbox.provider_sandbox_id is None:
            raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
        seconds = max(1, math.ceil((told - now()).total_seconds()))
        await provider.set_ttl(sandbox.provider_sandbox_id, seconds)
        async with services.database.transaction(scope.project_id) as session:
            sandbox = await get_sandbox(session, scope, sandbox.id)
        if sandbox.expires_at == told:
            return sandbox
    raise ProviderUnavailableError("Too many requests move the end of this sandbox at once. Try again.")
