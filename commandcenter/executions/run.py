"""Reading a running execution to its end: every byte to the recorder, then the end that was seen."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from commandcenter.access.scope import Scope
from commandcenter.errors import DomainError
from commandcenter.executions.leftovers import end_leftover
from commandcenter.executions.milestones import record_end, record_loss, record_start
from commandcenter.executions.reconnect import reconnect
from commandcenter.executions.records import Execution
from commandcenter.executions.safekeeping import Safekeeping
from commandcenter.executions.states import ExecutionStatus
from commandcenter.logs.gaps import output_streams
from commandcenter.logs.pending import OwnershipLostError, PendingOutput
from commandcenter.logs.records import LogStream
from commandcenter.outages import despite_outages
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import OutputInterruptedError
from commandcenter.providers.output import Missing, Output, OutputStream, ProcessOutput
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.masks import SandboxMask
from commandcenter.services import Services

MEBIBYTE = 1024 * 1024

_log = structlog.get_logger()

_STREAMS: dict[OutputStream, LogStream] = {
    "stdout": LogStream.STDOUT,
    "stderr": LogStream.STDERR,
    "pty": LogStream.PTY,
}
_OWNER_DIED = OutputInterruptedError(
    "The process of CommandCenter that read it ended before the command did."
)


async def run_execution(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, process: ProcessOutput
) -> Execution | None:
    """Read a process that was just started until its end is seen, or can't be seen any more; record both.

    Returns the ended execution; None where another process of ours owns it now.
    """
    mask = await _mask_of(services, sandbox, execution)
    return await _Run(services, scope, sandbox, execution, mask).to_its_end(process)


async def read_on(services: Services, scope: Scope, execution: Execution) -> Execution | None:
    """The same for one that another process of ours has read so far, from what is stored."""
    sandbox = await despite_outages(partial(_sandbox_of, services, scope, execution))
    mask = await _mask_of(services, sandbox, execution)
    return await _Run(services, scope, sandbox, execution, mask).to_its_end(None)


class _Run:
    """One execution on its way to its end."""

    def __init__(
        self, services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, mask: SandboxMask
    ) -> None:
        self._services = services
        self._scope = scope
        self._sandbox = sandbox
        self._execution = execution
        stored = {stream: execution.stored_bytes(stream) for stream in output_streams(execution)}
        # Read again from a little before, where a secret may have begun whose rest is not stored.
        context = {stream: min(size, mask.given.context_bytes) for stream, size in stored.items()}
        self._taken = {
            name: stored[stream] - context[stream] for name, stream in _STREAMS.items() if stream in stored
        }
        self._mask = mask
        self._safekeeping = Safekeeping(services.background, execution)
        self._pending = PendingOutput(
            project_id=execution.project_id,
            sandbox_id=execution.sandbox_id,
            execution_id=execution.id,
            execution_number=execution.number,
            last_sequence=execution.last_sequence,
            offsets=stored,
            on_stored=self._note_stored,
            mask=mask,
            context=context,
        )

    async def to_its_end(self, process: ProcessOutput | None) -> Execution | None:
        services, execution = self._services, self._execution
        services.owned_executions.add(execution.id, _current_task())
        try:
            try:
                end = await self._read_to_end(process)
                end = replace(end, error=self._mask.given.hide(end.error) if end.error else end.error)
            except OutputInterruptedError as interrupted:
                message = self._mask.given.hide(interrupted.message)
                return await self._lose(OutputInterruptedError(message, interrupted.reason))
            await services.recorder.drain(self._pending)
            ended = await self._despite_outages(record_end, self._sandbox, execution, end)
        except OwnershipLostError:
            _log.info("execution.owned_by_another", execution_id=str(execution.id))
            return None
        finally:
            services.owned_executions.discard(execution.id)
        if ended is not None and self._safekeeping.attachment is not None:
            services.recorded_ends.note(self._safekeeping.attachment, execution, self._stored())
        return ended

    async def _read_to_end(self, process: ProcessOutput | None) -> Ended:
        """Read until the end is seen, over every break of the stream that can be mended."""
        interrupted = _OWNER_DIED
        while True:
            if process is None:
                process = await self._reconnect(interrupted)
            self._safekeeping.attachment = process.attachment
            try:
                async with process:
                    return await self._read(process)
            except OutputInterruptedError as broken:
                interrupted, process = broken, None

    async def _reconnect(self, interrupted: OutputInterruptedError) -> ProcessOutput:
        process = await reconnect(self._services, self._scope, self._execution, self._taken, interrupted)
        if self._execution.status is ExecutionStatus.QUEUED:
            # Its start was asked for, and never written down.
            started = await self._despite_outages(record_start, self._execution, process.pid or None)
            if started is None:
                await process.aclose()
                raise OwnershipLostError
            self._execution = started
        return process

    async def _read(self, process: ProcessOutput) -> Ended:
        async for event in process:
            if isinstance(event, Ended):
                return event
            if isinstance(event, Missing):
                self._note_missing(event)
                continue
            self._taken[event.stream] += len(event.data)
            await self._pending.wait_for_room()
            self._add(event)
            self._services.recorder.notice(self._pending)
        raise OutputInterruptedError("The output ended without the process's end.")

    def _add(self, event: Output) -> None:
        most = self._services.settings.most_output_mb * MEBIBYTE
        if self._taken[event.stream] - len(event.data) < most:
            self._pending.add(_STREAMS[event.stream], event.data)
        else:
            reason = f"More than {most} bytes of a stream are not kept (COMMANDCENTER_MOST_OUTPUT_MB)."
            self._pending.pass_over(_STREAMS[event.stream], len(event.data), reason)

    def _note_missing(self, event: Missing) -> None:
        self._pending.add_gap(_STREAMS[event.stream], event.reason, event.to_offset)
        if event.to_offset is not None:
            self._taken[event.stream] = event.to_offset
        self._services.recorder.notice(self._pending)

    async def _lose(self, interrupted: OutputInterruptedError) -> Execution | None:
        """Say outright that output may be missing and that the end was not seen."""
        for stream in output_streams(self._execution):
            self._pending.add_gap(stream, interrupted.message)
        await self._services.recorder.drain(self._pending)
        lost = await self._despite_outages(record_loss, self._execution, interrupted)
        await end_leftover(self._services, self._scope, self._execution)
        return lost

    def _note_stored(self) -> None:
        self._safekeeping.note(self._stored())

    def _stored(self) -> dict[OutputStream, int]:
        """What another process of ours would not want again."""
        context = self._mask.given.context_bytes
        return {name: max(self._pending.stored_offsets[_STREAMS[name]] - context, 0) for name in self._taken}

    async def _despite_outages(self, record: Any, *values: Any) -> Execution | None:
        return await despite_outages(partial(record, self._services, self._scope, *values))


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("An execution is read by a task.")
    return task


async def _mask_of(services: Services, sandbox: Sandbox, execution: Execution) -> SandboxMask:
    try:
        return await despite_outages(partial(services.secret_masks.of, sandbox))
    except DomainError:
        # Nothing is read that could not be masked; a process that has the key may take it over.
        services.owned_executions.discard(execution.id)
        raise


async def _sandbox_of(services: Services, scope: Scope, execution: Execution) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        return await get_sandbox(session, scope, execution.sandbox_id)
