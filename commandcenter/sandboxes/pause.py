"""Pausing a sandbox, and resuming it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.sandboxes.ceiling import require_seconds_left
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus
from commandcenter.sandboxes.turns import NO_TURN, is_held, returned_on_failure, take_turn, within_turn
from commandcenter.services import Services

_NO_FAILURES: dict[str, Any] = {"failed_attempts": 0, "retry_at": None}


async def pause_sandbox(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    """Stop a running sandbox, keeping its files and, where the provider can, its processes.

    A sandbox that was paused does not expire. `SandboxStateError` where it is not running.
    """
    scope.require(Role.OPERATOR)
    return await asyncio.shield(
        services.background.start(_pause(services, scope, sandbox_id), "pause-sandbox")
    )


async def resume_sandbox(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    """Let a paused sandbox run again, for its time to live from now or what its project's ceiling leaves.

    `SandboxStateError` where it is not paused, `SandboxCeilingError` where nothing is left.
    """
    scope.require(Role.OPERATOR)
    return await asyncio.shield(
        services.background.start(_resume(services, scope, sandbox_id), "resume-sandbox")
    )


async def _pause(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    turn = await take_turn(services, scope, sandbox_id, SandboxAction.PAUSE, SandboxStatus.RUNNING)
    async with returned_on_failure(services, turn):
        return await pause_in_turn(services, scope, turn)


async def pause_in_turn(
    services: Services, scope: Scope, turn: Sandbox, because: str | None = None
) -> Sandbox:
    """Pause the sandbox of a turn that is held, which ends the turn; `because` becomes its reason.

    Where that fails the turn is still held.
    """
    async with within_turn(turn):
        await services.providers.get(turn.provider).pause(provider_id(turn))
    async with services.database.transaction(scope.project_id) as session:
        paused = await change_sandbox(
            session,
            scope,
            turn.id,
            SandboxStatus.PAUSED,
            status_reason=because,
            expires_at=None,
            only_if=is_held(turn),
            **NO_TURN,
            **_NO_FAILURES,
        )
        result = paused or await get_sandbox(session, scope, turn.id)
    announce_sandbox(services.signals, result)
    return result


async def _resume(services: Services, scope: Scope, sandbox_id: UUID) -> Sandbox:
    turn = await take_turn(services, scope, sandbox_id, SandboxAction.RESUME, SandboxStatus.PAUSED)
    async with returned_on_failure(services, turn), within_turn(turn):
        async with services.database.transaction(scope.project_id) as session:
            ttl_seconds = min(turn.ttl_seconds, await require_seconds_left(session, turn))
        at_provider = await services.providers.get(turn.provider).resume(provider_id(turn), ttl_seconds)
    async with services.database.transaction(scope.project_id) as session:
        resumed = await change_sandbox(
            session,
            scope,
            turn.id,
            SandboxStatus.RUNNING,
            kind="sandbox.resumed",
            attachment=at_provider.attachment.as_json(),
            status_reason=None,
            last_activity_at=now(),
            expires_at=now() + timedelta(seconds=ttl_seconds),
            incarnation=Sandbox.incarnation + 1,
            only_if=is_held(turn),
            **NO_TURN,
            **_NO_FAILURES,
        )
        result = resumed or await get_sandbox(session, scope, turn.id)
    announce_sandbox(services.signals, result)
    return result


def provider_id(sandbox: Sandbox) -> str:
    """The provider's name for a sandbox; `SandboxStateError` where it has none yet."""
    if sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, "known to its provider")
    return sandbox.provider_sandbox_id
