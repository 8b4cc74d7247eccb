"""What one can ask and do about executions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from commandcenter.errors import InvalidError
from commandcenter.executions.queries import ExecutionSelection
from commandcenter.executions.records import Execution as ExecutionRecord
from commandcenter.executions.requests import StartExecution
from commandcenter.providers.processes import PtySize
from resolvers import executions
from resolvers.context import Info
from resolvers.outcomes import Outcome
from schema.arguments import After, Filter, First, Id, Input, SandboxId
from schema.environment import EnvVarInput, environment_of
from schema.errors import UserError, user_errors
from schema.executions import Execution, ExecutionFilter
from schema.nodes import Connection
from schema.views import view


@strawberry.input(description="A command for a sandbox.")
class ExecuteCommandInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    command: str = strawberry.field(description="Given to `bash -l -c`.")
    cwd: str | None = strawberry.field(
        description="The folder to start in; the user's home unless given.", default=None
    )
    user: str | None = strawberry.field(
        description="Whom to run as; the sandbox's user unless given.", default=None
    )
    envs: list[EnvVarInput] | None = strawberry.field(
        default=None, description="Environment variables of this command."
    )
    secrets: list[str] | None = strawberry.field(
        default=None,
        description="Names of the project's secrets: this command gets their present values as environment "
        "variables. From now on they are masked in all output of the sandbox.",
    )
    timeout_seconds: int | None = strawberry.field(
        default=None, description="End it after so many seconds; never unless given."
    )
    stdin: bool = strawberry.field(default=False, description="Whether `sendInput` shall feed it.")
    wait: bool = strawberry.field(
        default=False,
        description="Answer when the command has ended, however long it takes, not when it has started.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key twice is the same execution."
    )


@strawberry.input(description="Which execution to cancel.")
class CancelExecutionInput:
    execution_id: strawberry.ID = strawberry.field(description="The execution's id.")


@strawberry.input(description="Input for a running command or terminal. Give one of `text` and `base64`.")
class SendInputInput:
    execution_id: strawberry.ID = strawberry.field(description="The execution's id.")
    text: str | None = strawberry.field(default=None, description="Text, sent as UTF-8.")
    base64: str | None = strawberry.field(default=None, description="Bytes.")
    close: bool = strawberry.field(default=False, description="End its standard input afterwards.")


@strawberry.input(description="A terminal in a sandbox.")
class OpenTerminalInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    command: str | None = strawberry.field(
        default=None, description="Given to `bash -l -c`; a login shell unless given."
    )
    cwd: str | None = strawberry.field(default=None, description="The folder to start in.")
    user: str | None = strawberry.field(default=None, description="Whom to run as.")
    envs: list[EnvVarInput] | None = strawberry.field(
        default=None, description="Environment variables of the terminal."
    )
    columns: int = strawberry.field(default=80, description="Its width, in characters.")
    rows: int = strawberry.field(default=24, description="Its height, in lines.")
    timeout_seconds: int | None = strawberry.field(
        default=None, description="End it after so many seconds; never unless given."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key twice is the same terminal."
    )


@strawberry.input(description="A terminal's new size.")
class ResizeTerminalInput:
    terminal_id: strawberry.ID = strawberry.field(description="The id of the terminal's execution.")
    columns: int = strawberry.field(description="Its width, in characters.")
    rows: int = strawberry.field(description="Its height, in lines.")


@strawberry.type(description="What came of running a command.")
class ExecuteCommandPayload:
    execution: Execution | None = strawberry.field(description="The execution; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of an action on an execution.")
class ExecutionPayload:
    execution: Execution | None = strawberry.field(description="The execution; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of an action on a terminal.")
class TerminalPayload:
    terminal: Execution | None = strawberry.field(
        description="The terminal's execution: its output is a log, its input `sendInput`."
    )
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _execution(outcome: Outcome[ExecutionRecord]) -> Execution | None:
    return view(Execution, outcome.value) if outcome.value else None


def _payload(outcome: Outcome[ExecutionRecord]) -> ExecutionPayload:
    return ExecutionPayload(execution=_execution(outcome), user_errors=user_errors(outcome.errors))


def _terminal_payload(outcome: Outcome[ExecutionRecord]) -> TerminalPayload:
    return TerminalPayload(terminal=_execution(outcome), user_errors=user_errors(outcome.errors))


@strawberry.type
class ExecutionQueries:
    @strawberry.field(description="One execution; null where the project has no such one.")
    async def execution(self, info: Info, id: Id) -> Execution | None:
        found = await executions.execution_by_id(info, id)
        return view(Execution, found) if found else None

    @strawberry.field(description="The project's executions, newest first.")
    async def executions(
        self,
        info: Info,
        filter: Filter[ExecutionFilter] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Execution]:
        selection = filter.selection() if filter else ExecutionSelection()
        return view(Connection[Execution], await executions.execution_page(info, selection, first, after))


@strawberry.type
class ExecutionMutations:
    @strawberry.mutation(
        description="Run a command. Answers with the running execution, or with `wait` with the ended one."
    )
    async def execute_command(self, info: Info, input: Input[ExecuteCommandInput]) -> ExecuteCommandPayload:
        try:
            request = StartExecution(
                command=input.command,
                cwd=input.cwd,
                user=input.user,
                environment=environment_of(input.envs),
                secrets=tuple(input.secrets or ()),
                timeout_seconds=input.timeout_seconds,
                stdin=input.stdin,
                idempotency_key=input.idempotency_key,
            )
        except InvalidError as error:
            return ExecuteCommandPayload(execution=None, user_errors=user_errors([error]))
        outcome = await executions.execute(info, input.sandbox_id, request, wait=input.wait)
        return ExecuteCommandPayload(execution=_execution(outcome), user_errors=user_errors(outcome.errors))

    @strawberry.mutation(description="End a command with everything that it started.")
    async def cancel_execution(self, info: Info, input: Input[CancelExecutionInput]) -> ExecutionPayload:
        return _payload(await executions.cancel(info, input.execution_id))

    @strawberry.mutation(description="Write to a command's standard input, or to a terminal.")
    async def send_input(self, info: Info, input: Input[SendInputInput]) -> ExecutionPayload:
        return _payload(
            await executions.send(info, input.execution_id, input.text, input.base64, close=input.close)
        )

    @strawberry.mutation(description="Open a terminal.")
    async def open_terminal(self, info: Info, input: Input[OpenTerminalInput]) -> TerminalPayload:
        try:
            request = StartExecution(
                command=input.command or "",
                cwd=input.cwd,
                user=input.user,
                environment=environment_of(input.envs),
                timeout_seconds=input.timeout_seconds,
                terminal=PtySize(columns=input.columns, rows=input.rows),
                idempotency_key=input.idempotency_key,
            )
        except InvalidError as error:
            return TerminalPayload(terminal=None, user_errors=user_errors([error]))
        return _terminal_payload(await executions.open_terminal(info, input.sandbox_id, request))

    @strawberry.mutation(description="Tell a terminal its new size.")
    async def resize_terminal(self, info: Info, input: Input[ResizeTerminalInput]) -> TerminalPayload:
        size = PtySize(columns=input.columns, rows=input.rows)
        return _terminal_payload(await executions.resize(info, input.terminal_id, size))


@strawberry.type
class ExecutionSubscriptions:
    @strawberry.subscription(description="Each execution of a sandbox that starts or ends, from now on.")
    async def execution_changed(self, info: Info, sandbox_id: SandboxId) -> AsyncGenerator[Execution, None]:
        async with aclosing(executions.changes(info, sandbox_id)) as changes:
            async for record in changes:
                yield view(Execution, record)
