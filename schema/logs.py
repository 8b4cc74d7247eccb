"""Output: chunks, batches of them, and gaps."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from commandcenter.logs.records import LogStream
from resolvers import logs
from resolvers.context import Info
from schema.arguments import After, ExecutionId, SandboxId
from schema.costs import READS_MANY
from schema.enums import describe_enum
from schema.nodes import Edge, PageInfo
from schema.scalars import BigInt
from schema.views import view

if TYPE_CHECKING:
    from schema.executions import Execution

describe_enum(
    LogStream,
    "Which stream of an execution output comes from.",
    {
        "STDOUT": "Standard output.",
        "STDERR": "Standard error.",
        "PTY": "A terminal, both streams in one.",
        "SYSTEM": "Words of CommandCenter itself.",
    },
)


@strawberry.type(description="Some output of one stream, in the order in which it came; often many lines.")
class LogChunk:
    cursor: str = strawberry.field(
        description="The position after this chunk in its execution's output: `executionLogs(after:)`."
    )
    execution: Annotated["Execution", strawberry.lazy("schema.executions")] = strawberry.field(
        resolver=logs.execution_of, description="What wrote it."
    )
    stream: LogStream = strawberry.field(description="The stream that it comes from.")
    offset: BigInt = strawberry.field(description="The position of its first byte in the stream.")
    text: str = strawberry.field(
        description="The output as text; bytes that are no UTF-8 are replacement characters."
    )
    base64: str = strawberry.field(description="The output's exact bytes, as base64.")
    at: datetime = strawberry.field(description="When it was read from the sandbox.")


@strawberry.type(description="Output that could not be kept, said outright.")
class LogGap:
    stream: LogStream = strawberry.field(description="The stream in which it is missing.")
    from_offset: BigInt = strawberry.field(description="The position in the stream where it begins.")
    to_offset: BigInt | None = strawberry.field(description="Where output goes on; null if that is unknown.")
    reason: str = strawberry.field(description="Why it could not be kept.")


@strawberry.type(description="Chunks in order, each once.")
class LogBatch:
    chunks: list[LogChunk] = strawberry.field(description="The chunks, in order.")
    cursor: str = strawberry.field(
        description="Resume after this one, in any process: no gap, nothing doubled."
    )
    gap: LogGap | None = strawberry.field(description="Output that is missing at this place.")
    ended: bool = strawberry.field(description="Nothing more will come.")


@strawberry.type(description="A page of stored output.")
class LogChunkConnection:
    edges: list[Edge[LogChunk]] = strawberry.field(description="The chunks with the cursors of this list.")
    nodes: list[LogChunk] = strawberry.field(description="The chunks.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    total_count: int = strawberry.field(
        resolver=logs.count_chunks,
        metadata=READS_MANY,
        description="How many chunks there are in all.",
    )


@strawberry.type
class LogSubscriptions:
    @strawberry.subscription(
        description="An execution's output: history from the cursor, then live; completes at its end."
    )
    async def execution_logs(
        self, info: Info, execution_id: ExecutionId, after: After = None
    ) -> AsyncGenerator[LogBatch, None]:
        async with aclosing(logs.execution_logs(info, execution_id, after)) as batches:
            async for batch in batches:
                yield view(LogBatch, batch)

    @strawberry.subscription(
        description="The output of all executions of a sandbox: history from the cursor, then live."
    )
    async def sandbox_logs(
        self, info: Info, sandbox_id: SandboxId, after: After = None
    ) -> AsyncGenerator[LogBatch, None]:
        async with aclosing(logs.sandbox_logs(info, sandbox_id, after)) as batches:
            async for batch in batches:
                yield view(LogBatch, batch)
