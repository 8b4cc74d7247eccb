"""Pausing a sandbox, and resuming it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.sandboxes.ceiling import require_seconds_left
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services


async def pause_sandbox(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    because: str | None = None,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
) -> Sandbox:
    """Stop a running sandbox, keeping its files and, where the provider can, its processes.

    A sandbox that was paused does not expire. With `only_if`, conditions on its row, nothing happens where
    they do not hold any more. `SandboxStateError` where it is not running.
    """
    scope.require(Role.OPERATOR)
    sandbox = await _require_state(services, scope, sandbox_id, SandboxStatus.RUNNING)
    if only_if and not await _holds(services, scope, sandbox_id, only_if):
        return sandbox
    return await asyncio.shield(
        services.background.start(_pause(services, scope, sandbox, because), "pause-sandbox")
    )


async def resume_sandbox(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    """Let a paused sandbox run again, for its time to live from now or what its project's ceiling leaves.

    `SandboxStateError` where it is not paused, `SandboxCeilingError` where nothing is left.
    """
    scope.require(Role.OPERATOR)
    sandbox = await _require_state(services, scope, sandbox_id, SandboxStatus.PAUSED)
    async with services.database.transaction(scope.project_id) as session:
        ttl_seconds = min(sandbox.ttl_seconds, await require_seconds_left(session, sandbox))
    return await asyncio.shield(
        services.background.start(_resume(services, scope, sandbox, ttl_seconds), "resume-sandbox")
    )


async def _require_state(
    services: Services, scope: Scope, sandbox_id: UUID, needed: SandboxStatus
) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        sandbox = await get_sandbox(session, scope, sandbox_id)
    if sandbox.status is not needed or sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, needed)
    if sandbox.termination_requested_at is not None:
        raise SandboxStateError(sandbox, f"{needed} and not about to end")
    return sandbox


async def _holds(
    services: Services, scope: Scope, sandbox_id: UUID, conditions: Sequence[ColumnElement[bool]]
) -> bool:
    async with services.database.transaction(scope.project_id) as session:
        found = await session.scalar(select(Sandbox.id).where(Sandbox.id == sandbox_id, *conditions))
    return found is not None


async def _pause(services: Services, scope: Scope, sandbox: Sandbox, because: str | None) -> Sandbox:
    await services.providers.get(sandbox.provider).pause(_provider_id(sandbox))
    async with services.database.transaction(scope.project_id) as session:
        paused = await change_sandbox(
            session, scope, sandbox.id, SandboxStatus.PAUSED, status_reason=because, expires_at=None
        )
        if paused is None:
            # The sweep may have seen it stand still before we could say that it was meant to.
            await session.execute(
                update(Sandbox)
                .where(
                    Sandbox.id == sandbox.id,
                    Sandbox.status == SandboxStatus.PAUSED,
                    Sandbox.incarnation == sandbox.incarnation,
                )
                .values(status_reason=because, expires_at=None)
            )
        result = paused or await get_sandbox(session, scope, sandbox.id)
    announce_sandbox(services.signals, result)
    return result


async def _resume(services: Services, scope: Scope, sandbox: Sandbox, ttl_seconds: int) -> Sandbox:
    resumed_at_provider = await services.providers.get(sandbox.provider).resume(
        _provider_id(sandbox), ttl_seconds
    )
    async with services.database.transaction(scope.project_id) as session:
        resumed = await change_sandbox(
            session,
            scope,
            sandbox.id,
            SandboxStatus.RUNNING,
            kind="sandbox.resumed",
            attachment=resumed_at_provider.attachment.as_json(),
            status_reason=None,
            last_activity_at=now(),
            expires_at=now() + timedelta(seconds=ttl_seconds),
            incarnation=Sandbox.incarnation + 1,
        )
        result = resumed or await get_sandbox(session, scope, sandbox.id)
    announce_sandbox(services.signals, result)
    return result


def _provider_id(sandbox: Sandbox) -> str:
    if sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, "known to its provider")
    return sandbox.provider_sandbox_id
