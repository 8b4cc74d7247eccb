"""What the execution fields, mutations and subscriptions do."""

from collections.abc import AsyncGenerator
from typing import Any

from strawberry import ID, Parent

from commandcenter.executions.control import (
    cancel_execution,
    require_terminal_size,
    resize_terminal,
    send_input,
)
from commandcenter.executions.queries import ExecutionSelection, list_executions
from commandcenter.executions.records import Execution
from commandcenter.executions.requests import StartExecution
from commandcenter.executions.start import execute_command
from commandcenter.executions.watch import watch_executions
from commandcenter.logs.records import LogStream
from commandcenter.logs.tail import read_tail
from commandcenter.providers.processes import PtySize
from commandcenter.sandboxes.records import Sandbox
from resolvers.connections import ConnectionView, page_request
from resolvers.content import bytes_of
from resolvers.context import Info
from resolvers.ids import global_id, key_of
from resolvers.outcomes import Outcome, outcome_of

TYPE = "Execution"
SANDBOX = "Sandbox"


def execution_id(root: Parent[Any]) -> ID:
    """`Execution.id`."""
    return global_id(TYPE, root.id)


async def execution_by_id(info: Info, text: str) -> Execution | None:
    """`Query.execution`: null for what the project does not have."""
    return await info.context.executions.load(key_of(text, TYPE, "id"))


async def sandbox_of(root: Parent[Any], info: Info) -> Sandbox | None:
    """`Execution.sandbox`."""
    return await info.context.sandboxes.load(root.sandbox_id)


async def execution_page(
    info: Info, selection: ExecutionSelection, first: int | None, after: str | None
) -> ConnectionView[Execution]:
    """`Query.executions` and `Sandbox.executions`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_executions(session, context.scope, selection, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda execution: execution.id)


async def output_tail(root: Any, info: Info, stream: LogStream, last_bytes: int) -> str:
    """`Execution.stdout` and `Execution.stderr`."""
    context = info.context
    return await read_tail(context.services.database, context.scope, root, stream, last_bytes)


async def execute(info: Info, sandbox: str, request: StartExecution, *, wait: bool) -> Outcome[Execution]:
    """`executeCommand`."""

    async def work() -> Execution:
        key = key_of(sandbox, SANDBOX, "sandboxId")
        return await execute_command(info.context.services, info.context.scope, key, request, wait=wait)

    return await outcome_of(work())


async def open_terminal(info: Info, sandbox: str, request: StartExecution) -> Outcome[Execution]:
    """`openTerminal`."""

    async def work() -> Execution:
        key = key_of(sandbox, SANDBOX, "sandboxId")
        if request.terminal is not None:
            require_terminal_size(request.terminal)
        return await execute_command(info.context.services, info.context.scope, key, request)

    return await outcome_of(work())


async def resize(info: Info, terminal: str, size: PtySize) -> Outcome[Execution]:
    """`resizeTerminal`."""

    async def work() -> Execution:
        key = key_of(terminal, TYPE, "terminalId")
        return await resize_terminal(info.context.services, info.context.scope, key, size)

    return await outcome_of(work())


async def cancel(info: Info, text: str) -> Outcome[Execution]:
    """`cancelExecution`."""

    async def work() -> Execution:
        key = key_of(text, TYPE, "executionId")
        return await cancel_execution(info.context.services, info.context.scope, key)

    return await outcome_of(work())


async def send(
    info: Info, execution: str, text: str | None, base64: str | None, *, close: bool
) -> Outcome[Execution]:
    """`sendInput`."""

    async def work() -> Execution:
        key = key_of(execution, TYPE, "executionId")
        data = bytes_of(text, base64) if text is not None or base64 is not None or not close else b""
        return await send_input(info.context.services, info.context.scope, key, data, close=close)

    return await outcome_of(work())


async def changes(info: Info, sandbox: str) -> AsyncGenerator[Execution, None]:
    """`executionChanged`."""
    key = key_of(sandbox, SANDBOX, "sandboxId")
    async for execution in watch_executions(info.context.services, info.context.scope, key):
        yield execution
