"""What is written down of an execution's way: its start, its end, or that its end was not seen.

The owner alone writes: one that another process has taken over is left to it.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.executions.changes import announce_execution, change_execution
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import OutputInterruptedError, ProviderSandboxGoneError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services


async def record_start(
    services: Services, scope: Scope, execution: Execution, pid: int | None
) -> Execution | None:
    """Its process runs, or did; None where the execution is not ours, or has ended."""
    async with services.database.transaction(scope.project_id) as session:
        started = await change_execution(
            session,
            scope,
            execution.id,
            ExecutionStatus.RUNNING,
            only_if=_ours(services.process_id),
            pid=pid,
            started_at=now(),
            lease_until=func.now() + services.settings.lease,
        )
    if started is not None:
        announce_execution(services.signals, started)
    return started


async def record_end(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, end: Ended
) -> Execution | None:
    """The end that was seen; None where the execution is not ours, or has ended."""
    async with services.database.transaction(scope.project_id) as session:
        ended = await change_execution(
            session,
            scope,
            execution.id,
            await _status(session, execution, end),
            only_if=_ours(services.process_id),
            exit_code=end.exit_code,
            signal=end.signal,
            status_reason=end.error,
        )
    if ended is None:
        return None
    announce_execution(services.signals, ended)
    if ended.duration_ms is not None:
        services.measurements.observe_duration(
            "sandbox_execution_duration_seconds",
            ended.duration_ms / 1000,
            provider=sandbox.provider,
            status=ended.status.lower(),
        )
    return ended


async def record_loss(
    services: Services, scope: Scope, execution: Execution, interrupted: OutputInterruptedError
) -> Execution | None:
    """Say outright that the end was not seen; None where the execution is not ours, or has ended."""
    gone = isinstance(interrupted.reason, ProviderSandboxGoneError)
    async with services.database.transaction(scope.project_id) as session:
        lost = await change_execution(
            session,
            scope,
            execution.id,
            ExecutionStatus.LOST,
            only_if=_ours(services.process_id),
            status_reason="The sandbox ended before the command did." if gone else interrupted.message,
        )
    if lost is not None:
        announce_execution(services.signals, lost)
    return lost


async def _status(session: AsyncSession, execution: Execution, end: Ended) -> ExecutionStatus:
    if end.timed_out:
        return ExecutionStatus.TIMED_OUT
    if end.exit_code == 0:
        return ExecutionStatus.SUCCEEDED
    current = await session.get(Execution, execution.id)
    is_cancelled = current is not None and current.cancel_requested_at is not None
    return ExecutionStatus.CANCELLED if is_cancelled else ExecutionStatus.FAILED


def _ours(process_id: UUID) -> tuple[ColumnElement[bool]]:
    return (Execution.owner == process_id,)
