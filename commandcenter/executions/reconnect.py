"""Reading on where a stream of output broke, at providers that give output again from an offset.

The stream breaks when the sandbox is paused, when the runtime is restarted, or when a connection dies; the
process outlives each of them.
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
    ProviderSandboxPausedError,
    ProviderUnavailableError,
)
from commandcenter.providers.output import OutputStream, ProcessOutput
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic

_log = structlog.get_logger()

_LONGEST_ABSENCE_SECONDS = 60.0
_TRY_AGAIN_SECONDS = 0.5


async def reconnect(
    services: Services,
    scope: Scope,
    execution: Execution,
    pid: int,
    taken: Mapping[OutputStream, int],
    interrupted: OutputInterruptedError,
) -> ProcessOutput:
    """The process's stream again, from the bytes `taken` of each of its streams.

    Waits while the sandbox is paused, and up to a minute for a provider that is away. Raises `interrupted`
    where the output can't be had again.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LONGEST_ABSENCE_SECONDS
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while loop.time() < deadline:
            sandbox = await despite_outages(partial(_read_sandbox, services, scope, execution))
            if sandbox.status is SandboxStatus.PAUSED and sandbox.termination_requested_at is None:
                deadline = loop.time() + _LONGEST_ABSENCE_SECONDS
            elif sandbox.status is SandboxStatus.RUNNING:
                process = await _try(services, sandbox, execution, pid, taken, interrupted)
                if process is not None:
                    return process
            else:
                raise interrupted
            await listener.wait(_TRY_AGAIN_SECONDS)
    raise interrupted


async def _try(
    services: Services,
    sandbox: Sandbox,
    execution: Execution,
    pid: int,
    taken: Mapping[OutputStream, int],
    interrupted: OutputInterruptedError,
) -> ProcessOutput | None:
    """The stream; None where it is worth another try."""
    try:
        return await continuation.read_on(
            attach(services, sandbox), tag=str(execution.id), pid=pid, user=execution.user, taken=taken
        )
    except (ProviderUnavailableError, ProviderSandboxPausedError):
        return None
    except DomainError as error:
        _log.info("execution.not_reconnected", pid=pid, error=error.message)
        raise interrupted from error


async def _read_sandbox(services: Services, scope: Scope, execution: Execution) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        return await get_sandbox(session, scope, execution.sandbox_id)
