"""Acting on a running execution: cancel it, feed it, resize its terminal."""

import contextlib
from uuid import UUID

from sqlalchemy import update

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import InvalidError
from commandcenter.events.actions import record_event
from commandcenter.executions.errors import ExecutionStateError
from commandcenter.executions.queries import get_execution
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.providers import continuation, processes
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.errors import ProcessNotFoundError
from commandcenter.providers.process_groups import cancel
from commandcenter.providers.processes import PtySize
from commandcenter.sandboxes.activity import touch
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.services import Services

LARGEST_INPUT_BYTES = 1024 * 1024
LARGEST_TERMINAL = 1000


async def cancel_execution(services: Services, scope: Scope, execution_id: UUID) -> Execution:
    """End a command with everything it started. It is CANCELLED once its end was seen.

    One that has ended stays as it ended; that is no error.
    """
    scope.require(Role.OPERATOR)
    async with services.database.transaction(scope.project_id) as session:
        execution = await get_execution(session, scope, execution_id)
        if execution.has_ended:
            return execution
        if execution.pid is None:
            raise ExecutionStateError(execution, ExecutionStatus.RUNNING)
        sandbox = await get_sandbox(session, scope, execution.sandbox_id)
        await session.execute(
            update(Execution).where(Execution.id == execution_id).values(cancel_requested_at=now())
        )
        record_event(
            session, scope, "execution.cancel_requested", execution_id, sandbox_id=execution.sandbox_id
        )
    attachment = attach(services, sandbox)
    # Not found: it ended by itself meanwhile, and its end is being recorded.
    with contextlib.suppress(ProcessNotFoundError):
        if execution.incarnation != sandbox.incarnation:
            await _require_same_process(attachment, execution)
        await cancel(attachment, execution.pid, user=execution.user)
    async with services.database.transaction(scope.project_id) as session:
        return await get_execution(session, scope, execution_id)


async def send_input(
    services: Services, scope: Scope, execution_id: UUID, data: bytes, *, close: bool = False
) -> Execution:
    """Write to a command's stdin or terminal, and with `close` end its stdin."""
    scope.require(Role.OPERATOR)
    if len(data) > LARGEST_INPUT_BYTES:
        raise InvalidError(
            f"Send at most {LARGEST_INPUT_BYTES} bytes at a time; write larger input to a file.", ("text",)
        )
    execution, attachment = await _running(services, scope, execution_id)
    if not execution.has_stdin and not execution.is_terminal:
        raise ExecutionStateError(execution, "started with stdin: true, or a terminal")
    tag = str(execution.id)
    if data:
        await processes.send_input(attachment, tag, data, to="pty" if execution.is_terminal else "stdin")
    if close:
        await processes.close_stdin(attachment, tag)
    await touch(services, scope, execution.sandbox_id)
    return execution


async def resize_terminal(services: Services, scope: Scope, execution_id: UUID, size: PtySize) -> Execution:
    """Tell a terminal its new size, in characters."""
    scope.require(Role.OPERATOR)
    require_terminal_size(size)
    execution, attachment = await _running(services, scope, execution_id)
    if not execution.is_terminal:
        raise ExecutionStateError(execution, "a terminal")
    await processes.resize(attachment, str(execution.id), size)
    return execution


async def _require_same_process(attachment: Attachment, execution: Execution) -> None:
    """Raise `ProcessNotFoundError` where the number of a process of an earlier life is not its any more."""
    if await continuation.find(attachment, str(execution.id)) != execution.pid:
        raise ProcessNotFoundError("The process did not outlive the sandbox's pause.")


def require_terminal_size(size: PtySize) -> None:
    """Refuse a size that no terminal has."""
    for name, value in (("columns", size.columns), ("rows", size.rows)):
        if not 1 <= value <= LARGEST_TERMINAL:
            raise InvalidError(f"{name} must be between 1 and {LARGEST_TERMINAL}.", (name,))


async def _running(services: Services, scope: Scope, execution_id: UUID) -> tuple[Execution, Attachment]:
    async with services.database.transaction(scope.project_id) as session:
        execution = await get_execution(session, scope, execution_id)
        sandbox = await get_sandbox(session, scope, execution.sandbox_id)
    if execution.status is not ExecutionStatus.RUNNING:
        raise ExecutionStateError(execution, ExecutionStatus.RUNNING)
    return execution, attach(services, sandbox)
