"""Ending a sandbox, from any state, for a reason that is kept."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, update

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason
from commandcenter.services import Services

_log = structlog.get_logger()


async def terminate_sandbox(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    reason: TerminationReason = TerminationReason.USER,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
) -> Sandbox:
    """End a sandbox. From any state, and a second time is no error.

    With `only_if`, conditions on its row, nothing happens where they do not hold any more.

    The wish is recorded first: if the provider does not answer, the sandbox is returned as it is, its
    `status_reason` says so, and the upkeep ends it as soon as the provider answers.
    """
    scope.require(Role.OPERATOR)
    sandbox = await _record_wish(services, scope, sandbox_id, reason, only_if)
    if sandbox.status is SandboxStatus.TERMINATED or sandbox.termination_requested_at is None:
        return sandbox
    return await asyncio.shield(
        services.background.start(finish_termination(services, scope, sandbox), "terminate-sandbox")
    )


async def finish_termination(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """Do what was wished for: end the sandbox at its provider, then in the record."""
    try:
        if sandbox.provider_sandbox_id is not None:
            await services.providers.get(sandbox.provider).kill(sandbox.provider_sandbox_id)
    except DomainError as error:
        _log.warning("sandbox.terminate_failed", sandbox_id=str(sandbox.id), error=error.message)
        services.measurements.count("sandbox_error_total", kind=error.code.lower(), provider=sandbox.provider)
        return await _record_delay(services, scope, sandbox, error)
    async with services.database.transaction(scope.project_id) as session:
        ended = await change_sandbox(
            session,
            scope,
            sandbox.id,
            SandboxStatus.TERMINATED,
            terminated_at=now(),
            expires_at=None,
            status_reason=None,
            only_if=(Sandbox.provider_sandbox_id.is_not_distinct_from(sandbox.provider_sandbox_id),),
        )
        result = ended or await get_sandbox(session, scope, sandbox.id)
    if result.status is not SandboxStatus.TERMINATED:
        # Its creation was recorded a moment before its end was wished for: now it is known what to end.
        return await finish_termination(services, scope, result)
    announce_sandbox(services.signals, result)
    return result


async def _record_wish(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    reason: TerminationReason,
    only_if: Sequence[ColumnElement[bool]],
) -> Sandbox:
    """Write down that the sandbox shall end, and why; the first reason stands."""
    async with services.database.transaction(scope.project_id) as session:
        wished: Sandbox | None = await session.scalar(
            update(Sandbox)
            .where(
                Sandbox.id == sandbox_id,
                Sandbox.project_id == scope.project_id,
                Sandbox.status != SandboxStatus.TERMINATED,
                Sandbox.termination_requested_at.is_(None),
                *only_if,
            )
            .values(termination_requested_at=now(), termination_reason=reason)
            .returning(Sandbox),
            execution_options={"synchronize_session": False},
        )
        if wished is None:
            return await get_sandbox(session, scope, sandbox_id)
        record_event(
            session,
            scope,
            "sandbox.termination_requested",
            sandbox_id,
            sandbox_id=sandbox_id,
            termination_reason=reason,
        )
        return wished


async def _record_delay(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        delayed: Sandbox | None = await session.scalar(
            update(Sandbox)
            .where(Sandbox.id == sandbox.id, Sandbox.status != SandboxStatus.TERMINATED)
            .values(status_reason=f"It is to end, and is tried again until it does: {error.message}")
            .returning(Sandbox)
        )
        result = delayed or await get_sandbox(session, scope, sandbox.id)
    announce_sandbox(services.signals, result)
    return result
