"""Reading a running execution to its end: every byte to the recorder, then the end that was seen."""

from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.executions.changes import announce_execution, change_execution
from commandcenter.executions.leftovers import end_leftover
from commandcenter.executions.reconnect import reconnect
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.logs.gaps import output_streams
from commandcenter.logs.pending import OwnershipLostError, PendingOutput
from commandcenter.logs.records import LogStream
from commandcenter.outages import despite_outages
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import OutputInterruptedError, ProviderSandboxGoneError
from commandcenter.providers.output import Missing, OutputStream, ProcessOutput
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services

_log = structlog.get_logger()

_STREAMS: dict[OutputStream, LogStream] = {
    "stdout": LogStream.STDOUT,
    "stderr": LogStream.STDERR,
    "pty": LogStream.PTY,
}


async def run_execution(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, process: ProcessOutput
) -> Execution | None:
    """Read a process until its end is seen, or can't be seen any more; record both.

    Returns the ended execution; None where another process of ours owns it now.
    """
    pending = PendingOutput(
        project_id=execution.project_id,
        sandbox_id=execution.sandbox_id,
        execution_id=execution.id,
        execution_number=execution.number,
    )
    try:
        try:
            end = await _read_to_end(services, scope, execution, process, pending)
        except OutputInterruptedError as interrupted:
            await _drain_with_gaps(services, execution, pending, interrupted)
            lost = await despite_outages(partial(_record_loss, services, scope, execution, interrupted))
            await end_leftover(services, scope, execution)
            return lost
        await services.recorder.drain(pending)
        return await despite_outages(partial(_record_end, services, scope, sandbox, execution, end))
    except OwnershipLostError:
        _log.info("execution.owned_by_another", execution_id=str(execution.id))
        return None
    finally:
        services.owned_executions.discard(execution.id)


async def _read_to_end(
    services: Services, scope: Scope, execution: Execution, process: ProcessOutput, pending: PendingOutput
) -> Ended:
    """Read until the end is seen, over every break of the stream that can be mended."""
    pid = process.pid
    streams = output_streams(execution)
    taken: dict[OutputStream, int] = {name: 0 for name, stream in _STREAMS.items() if stream in streams}
    while True:
        try:
            async with process:
                return await _read(services, process, pending, taken)
        except OutputInterruptedError as interrupted:
            process = await reconnect(services, scope, execution, pid, taken, interrupted)


async def _read(
    services: Services, process: ProcessOutput, pending: PendingOutput, taken: dict[OutputStream, int]
) -> Ended:
    async for event in process:
        if isinstance(event, Ended):
            return event
        if isinstance(event, Missing):
            _note_missing(event, pending, taken)
            services.recorder.notice(pending)
            continue
        taken[event.stream] += len(event.data)
        await pending.wait_for_room()
        pending.add(_STREAMS[event.stream], event.data)
        services.recorder.notice(pending)
    raise OutputInterruptedError("The output ended without the process's end.")


def _note_missing(event: Missing, pending: PendingOutput, taken: dict[OutputStream, int]) -> None:
    pending.add_gap(_STREAMS[event.stream], event.reason, event.to_offset)
    if event.to_offset is not None:
        taken[event.stream] = event.to_offset


async def _record_end(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, end: Ended
) -> Execution | None:
    async with services.database.transaction(scope.project_id) as session:
        ended = await change_execution(
            session,
            scope,
            execution.id,
            await _status(session, execution, end),
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


async def _status(session: AsyncSession, execution: Execution, end: Ended) -> ExecutionStatus:
    if end.timed_out:
        return ExecutionStatus.TIMED_OUT
    if end.exit_code == 0:
        return ExecutionStatus.SUCCEEDED
    current = await session.get(Execution, execution.id)
    is_cancelled = current is not None and current.cancel_requested_at is not None
    return ExecutionStatus.CANCELLED if is_cancelled else ExecutionStatus.FAILED


async def _drain_with_gaps(
    services: Services, execution: Execution, pending: PendingOutput, interrupted: OutputInterruptedError
) -> None:
    """Say outright that output may be missing."""
    for stream in output_streams(execution):
        pending.add_gap(stream, interrupted.message)
    await services.recorder.drain(pending)


async def _record_loss(
    services: Services,
    scope: Scope,
    execution: Execution,
    interrupted: OutputInterruptedError,
) -> Execution | None:
    """Say outright that the end was not seen."""
    gone = isinstance(interrupted.reason, ProviderSandboxGoneError)
    async with services.database.transaction(scope.project_id) as session:
        lost = await change_execution(
            session,
            scope,
            execution.id,
            ExecutionStatus.LOST,
            status_reason="The sandbox ended before the command did." if gone else interrupted.message,
        )
    if lost is not None:
        announce_execution(services.signals, lost)
    return lost
