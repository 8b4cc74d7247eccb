"""Changing a sandbox's state, with its event, and telling those who watch."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.events.actions import record_event
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import TRANSITIONS, SandboxStatus
from commandcenter.signals import Signals, sandbox_topic
from commandcenter.transitions import change_state

_EVENT_KINDS = {
    SandboxStatus.PAUSED: "sandbox.paused",
    SandboxStatus.TERMINATED: "sandbox.terminated",
    SandboxStatus.FAILED: "sandbox.failed",
}


async def change_sandbox(
    session: AsyncSession,
    scope: Scope,
    sandbox_id: UUID,
    target: SandboxStatus,
    *,
    kind: str | None = None,
    **values: Any,
) -> Sandbox | None:
    """Bring a sandbox to `target` where its state allows it; None where it does not."""
    sandbox: Sandbox | None = await change_state(session, Sandbox, sandbox_id, TRANSITIONS, target, **values)
    if sandbox is not None:
        record_event(
            session,
            scope,
            kind or _EVENT_KINDS[target],
            sandbox_id,
            sandbox_id=sandbox_id,
            status=target,
            reason=sandbox.status_reason,
            termination_reason=sandbox.termination_reason,
        )
    return sandbox


def announce_sandbox(signals: Signals, sandbox: Sandbox) -> None:
    """Tell those who watch that the sandbox has changed; call it after the commit."""
    signals.publish(sandbox_topic(sandbox.project_id), str(sandbox.id))
