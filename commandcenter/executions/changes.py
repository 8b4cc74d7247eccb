"""Changing an execution's state, with its event, and telling those who watch."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.events.actions import record_event
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED, TRANSITIONS, ExecutionStatus
from commandcenter.sandboxes.records import Sandbox
from commandcenter.signals import Signals, execution_topic
from commandcenter.transitions import change_state


async def change_execution(
    session: AsyncSession,
    scope: Scope,
    execution_id: UUID,
    target: ExecutionStatus,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
    **values: Any,
) -> Execution | None:
    """Bring an execution to `target` where its state and `only_if` allow it; None where they do not.

    An end is activity of its sandbox.
    """
    if target in ENDED:
        values = {"completed_at": now(), "owner": None, "lease_until": None, **values}
    execution: Execution | None = await change_state(
        session, Execution, execution_id, TRANSITIONS, target, only_if=only_if, **values
    )
    if execution is None:
        return None
    record_event(
        session,
        scope,
        f"execution.{target.lower() if target in ENDED else 'started'}",
        execution_id,
        sandbox_id=execution.sandbox_id,
        status=target,
        exit_code=execution.exit_code,
        signal=execution.signal,
        reason=execution.status_reason,
    )
    if target in ENDED:
        await session.execute(
            update(Sandbox).where(Sandbox.id == execution.sandbox_id).values(last_activity_at=now()),
            execution_options={"synchronize_session": False},
        )
    return execution


def announce_execution(signals: Signals, execution: Execution) -> None:
    """Tell those who watch that the execution has changed; call it after the commit."""
    signals.publish(execution_topic(execution.sandbox_id), str(execution.id))
