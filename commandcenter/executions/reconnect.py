"""Reading on where a stream of output broke, at providers that give output again from an offset.

The stream breaks when the sandbox is paused, when the runtime is restarted, when a connection dies, or when
the process of ours that read it dies; the process in the sandbox outlives each of them.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from commandcenter.access.scope import Scope
from commandcenter.errors import DomainError
from commandcenter.executions.records import Execution
from commandcenter.outages import despite_outages
from commandcenter.providers import continuation
from commandcenter.providers.errors import (
    OutputInterruptedError,
    ProcessNotFoundError,
    ProviderRefusedError,
    ProviderSandboxGoneError,
)
from commandcenter.providers.output import OutputStream, ProcessOutput
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic

_log = structlog.get_logger()

# For a sandbox that is to end, and whose provider does not answer.
_LONGEST_FAREWELL_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
# Answers that another try would get again.
_FINAL = (ProcessNotFoundError, ProviderRefusedError, ProviderSandboxGoneError)


async def reconnect(
    services: Services,
    scope: Scope,
    execution: Execution,
    taken: Mapping[OutputStream, int],
    interrupted: OutputInterruptedError,
) -> ProcessOutput:
    """The process's stream again, from the bytes `taken` of each of its streams.

    Waits while the sandbox is paused or its provider is away, as long as the sandbox lives. Raises
    `interrupted`, or an `OutputInterruptedError` that knows more, where the output can't be had again.
    """
    loop = asyncio.get_running_loop()
    farewell_until: float | None = None
    pause = _FIRST_PAUSE_SECONDS
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while farewell_until is None or loop.time() < farewell_until:
            sandbox = await despite_outages(partial(_read_sandbox, services, scope, execution))
            if sandbox.status not in (SandboxStatus.RUNNING, SandboxStatus.PAUSED):
                raise _sandbox_ended(interrupted)
            if sandbox.status is SandboxStatus.RUNNING:
                process = await _try(services, sandbox, execution, taken, interrupted)
                if process is not None:
                    return process
            if sandbox.termination_requested_at is not None and farewell_until is None:
                farewell_until = loop.time() + _LONGEST_FAREWELL_SECONDS
            await listener.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    raise interrupted


async def _try(
    services: Services,
    sandbox: Sandbox,
    execution: Execution,
    taken: Mapping[OutputStream, int],
    interrupted: OutputInterruptedError,
) -> ProcessOutput | None:
    """The stream; None where it is worth another try."""
    try:
        return await continuation.read_on(
            attach(services, sandbox), tag=str(execution.id), user=execution.user, taken=taken
        )
    except _FINAL as error:
        _log.info("execution.not_reconnected", execution_id=str(execution.id), error=error.message)
        raise OutputInterruptedError(interrupted.message, error) from error
    except DomainError as error:
        _log.info("execution.reconnect_waits", execution_id=str(execution.id), error=error.message)
        return None


def _sandbox_ended(interrupted: OutputInterruptedError) -> OutputInterruptedError:
    gone = ProviderSandboxGoneError("The sandbox has ended.")
    return OutputInterruptedError(interrupted.message, gone)


async def _read_sandbox(services: Services, scope: Scope, execution: Execution) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        return await get_sandbox(session, scope, execution.sandbox_id)
