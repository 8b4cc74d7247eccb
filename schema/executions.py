"""Executions: commands in sandboxes."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from commandcenter.executions.queries import ExecutionSelection
from commandcenter.executions.records import Execution as ExecutionRecord
from commandcenter.executions.states import ExecutionStatus
from commandcenter.logs.records import LogStream
from resolvers import executions, logs
from resolvers.context import Info
from schema.arguments import After, First, LastBytes, Stream
from schema.costs import READS_MANY
from schema.enums import describe_enum
from schema.logs import LogChunkConnection
from schema.nodes import Node
from schema.sandboxes import Sandbox
from schema.scalars import BigInt
from schema.views import view

describe_enum(
    ExecutionStatus,
    "Where an execution is in its life.",
    {
        "QUEUED": "It was asked for, and is being started.",
        "RUNNING": "It runs.",
        "SUCCEEDED": "It ended with exit code 0.",
        "FAILED": "It ended with another exit code, or by a signal.",
        "TIMED_OUT": "Its timeout ran out, and it was ended.",
        "CANCELLED": "It was ended because somebody asked for it.",
        "LOST": "Its end was not seen, so no exit code is known; `statusReason` says why.",
    },
)


@strawberry.input(description="Which executions are meant; what is not given does not matter.")
class ExecutionFilter:
    status: list[ExecutionStatus] | None = strawberry.field(
        default=None, description="In one of these states."
    )

    def selection(self, sandbox_id: UUID | None = None) -> ExecutionSelection:
        """The domain's form of this filter."""
        return ExecutionSelection(sandbox_id=sandbox_id, statuses=self.status)


@strawberry.type(description="A command in a sandbox.")
class Execution(Node):
    id: strawberry.ID = strawberry.field(
        resolver=executions.execution_id, description="Opaque and globally unique."
    )
    sandbox: Annotated[Sandbox, strawberry.lazy("schema.sandboxes")] = strawberry.field(
        resolver=executions.sandbox_of, description="Where it runs."
    )
    number: BigInt = strawberry.field(description="Its number among its sandbox's executions, from 1.")
    command: str = strawberry.field(description="What `bash -l -c` was given; empty for a plain terminal.")
    cwd: str | None = strawberry.field(description="The folder that it was started in.")
    user: str | None = strawberry.field(description="Whom it runs as; null: the sandbox's default user.")
    status: ExecutionStatus = strawberry.field(description="Where it is in its life.")
    status_reason: str | None = strawberry.field(description="In words: why it ended as it did.")
    exit_code: int | None = strawberry.field(
        description="Null until it has ended, and where there is no real one: after a signal, or when LOST."
    )
    signal: str | None = strawberry.field(description="The signal that ended it, such as `SIGKILL`.")
    pid: int | None = strawberry.field(description="Its process number in the sandbox.")
    is_terminal: bool = strawberry.field(description="Whether it runs in a terminal.")
    timeout_seconds: int | None = strawberry.field(description="After so many seconds it is ended.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When its process started.")
    completed_at: datetime | None = strawberry.field(description="When its end was recorded.")
    duration_ms: int | None = strawberry.field(description="Milliseconds from its start to its end.")
    stdout_bytes: BigInt = strawberry.field(description="How much standard output is stored, in bytes.")
    stderr_bytes: BigInt = strawberry.field(description="How much standard error is stored, in bytes.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether a record is shown as this type."""
        return isinstance(value, (cls, ExecutionRecord))

    @strawberry.field(
        metadata=READS_MANY,
        description="The end of its standard output (for a terminal: of what it shows).",
    )
    async def stdout(self, info: Info, last_bytes: LastBytes = 65536) -> str:
        record = view(ExecutionRecord, self)
        stream = LogStream.PTY if record.is_terminal else LogStream.STDOUT
        return await executions.output_tail(record, info, stream, last_bytes)

    @strawberry.field(metadata=READS_MANY, description="The end of its standard error.")
    async def stderr(self, info: Info, last_bytes: LastBytes = 65536) -> str:
        record = view(ExecutionRecord, self)
        return await executions.output_tail(record, info, LogStream.STDERR, last_bytes)

    @strawberry.field(description="Its stored output, in order.")
    async def logs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        stream: Stream = None,
    ) -> LogChunkConnection:
        return view(LogChunkConnection, await logs.chunk_page(self, info, first, after, stream))
