"""Ending a sandbox, from any state, for a reason that is kept: the wish is recorded first."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.events.actions import record_event
from commandcenter.sandboxes.errors import SandboxNotFoundError
from commandcenter.sandboxes.finish import finish_termination
from commandcenter.sandboxes.queries import find_sandboxes, get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason
from commandcenter.services import Services

_AT_ONCE = 8
_MANY_SECONDS = 25.0


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

    The wish is recorded first: if the provider does not answer within some seconds, the sandbox is returned
    as it is, its `status_reason` says so, and the upkeep ends it as soon as the provider answers.
    """
    scope.require(Role.OPERATOR)
    async with services.database.transaction(scope.project_id) as session:
        sandbox = await record_wish(session, scope, sandbox_id, reason, only_if)
        if sandbox is None:
            sandbox = await get_sandbox(session, scope, sandbox_id)
    if sandbox.status is SandboxStatus.TERMINATED or sandbox.termination_requested_at is None:
        return sandbox
    return await asyncio.shield(
        services.background.start(finish_termination(services, scope, sandbox), "terminate-sandbox")
    )


async def terminate_sandboxes(services: Services, scope: Scope, ids: Sequence[UUID]) -> list[Sandbox]:
    """End several sandboxes, or, where one of them is not there, none (`SandboxNotFoundError`).

    Answers when all have ended or were tried, at most some 25 seconds later; what has not ended then says
    so, and goes on to be ended.
    """
    scope.require(Role.OPERATOR)
    async with services.database.transaction(scope.project_id) as session:
        if len(await find_sandboxes(session, scope, ids)) < len(set(ids)):
            raise SandboxNotFoundError("sandboxIds")
        # In one order, so that two requests with the same sandboxes do not wait for each other.
        for sandbox_id in sorted(set(ids)):
            await record_wish(session, scope, sandbox_id, TerminationReason.USER)
        wished = await find_sandboxes(session, scope, ids)
    bound = asyncio.Semaphore(_AT_ONCE)

    async def finish(sandbox: Sandbox) -> None:
        async with bound:
            await finish_termination(services, scope, sandbox)

    await asyncio.wait(
        [services.background.start(finish(one), "terminate-sandbox") for one in wished.values()],
        timeout=_MANY_SECONDS,
    )
    async with services.database.transaction(scope.project_id) as session:
        found = await find_sandboxes(session, scope, ids)
    return [found[sandbox_id] for sandbox_id in ids]


async def record_wish(
    session: AsyncSession,
    scope: Scope,
    sandbox_id: UUID,
    reason: TerminationReason,
    only_if: Sequence[ColumnElement[bool]] = (),
) -> Sandbox | None:
    """Write down that a sandbox shall end, and why; None where it has ended or the first wish stands."""
    wished: Sandbox | None = await session.scalar(
        update(Sandbox)
        .where(
            Sandbox.id == sandbox_id,
            Sandbox.project_id == scope.project_id,
            Sandbox.status != SandboxStatus.TERMINATED,
            Sandbox.termination_requested_at.is_(None),
            *only_if,
        )
        .values(
            termination_requested_at=now(),
            termination_reason=reason,
            status_reason="It is being ended.",
            failed_attempts=0,
            retry_at=None,
        )
        .returning(Sandbox),
        execution_options={"populate_existing": True, "synchronize_session": False},
    )
    if wished is not None:
        record_event(
            session,
            scope,
            "sandbox.termination_requested",
            sandbox_id,
            sandbox_id=sandbox_id,
            termination_reason=reason,
        )
    return wished
