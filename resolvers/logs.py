"""What the log fields and subscriptions do."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from strawberry import Parent

from commandcenter.executions.records import Execution
from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.follow import LogBatch, follow_execution
from commandcenter.logs.follow_sandbox import follow_sandbox
from commandcenter.logs.pages import (
    ChunkPage,
    count_execution_chunks,
    count_sandbox_chunks,
    read_execution_page,
    read_sandbox_page,
)
from commandcenter.logs.records import LogStream
from commandcenter.sandboxes.records import Sandbox
from resolvers.connections import EdgeView, PageState
from resolvers.context import Info
from resolvers.ids import key_of


class ChunkConnectionView:
    """What `LogChunkConnection` shows of a page of an execution's or a sandbox's chunks."""

    def __init__(self, page: ChunkPage, owner: Execution | Sandbox, stream: LogStream | None) -> None:
        self.nodes = list(page.chunks)
        self.owner = owner
        self.stream = stream
        self._page = page

    @property
    def edges(self) -> list[EdgeView[LogChunk]]:
        """The chunks with their cursors."""
        pairs = zip(self._page.cursors, self.nodes, strict=True)
        return [EdgeView(cursor, chunk) for cursor, chunk in pairs]

    @property
    def page_info(self) -> PageState:
        """Where the page lies in the output."""
        cursors = self._page.cursors
        return PageState(
            has_next_page=self._page.has_next,
            has_previous_page=self._page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


async def chunk_page(
    root: Any, info: Info, first: int | None, after: str | None, stream: LogStream | None
) -> ChunkConnectionView:
    """`Execution.logs` and `Sandbox.logs`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        read = read_sandbox_page if isinstance(root, Sandbox) else read_execution_page
        page = await read(session, context.scope, root, first=first, after=after, stream=stream)
    return ChunkConnectionView(page, root, stream)


async def count_chunks(root: Parent[Any], info: Info) -> int:
    """`LogChunkConnection.totalCount`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        if isinstance(root.owner, Sandbox):
            return await count_sandbox_chunks(session, context.scope, root.owner, root.stream)
        return await count_execution_chunks(session, context.scope, root.owner, root.stream)


async def execution_of(root: Parent[Any], info: Info) -> Execution | None:
    """`LogChunk.execution`."""
    return await info.context.executions.load(root.execution_id)


async def execution_logs(info: Info, execution: str, after: str | None) -> AsyncGenerator[LogBatch, None]:
    """`executionLogs`."""
    key = key_of(execution, "Execution", "executionId")
    async with aclosing(follow_execution(info.context.services, info.context.scope, key, after)) as batches:
        async for batch in batches:
            yield batch


async def sandbox_logs(info: Info, sandbox: str, after: str | None) -> AsyncGenerator[LogBatch, None]:
    """`sandboxLogs`."""
    key = key_of(sandbox, "Sandbox", "sandboxId")
    async with aclosing(follow_sandbox(info.context.services, info.context.scope, key, after)) as batches:
        async for batch in batches:
            yield batch
