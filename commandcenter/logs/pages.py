"""Pages of stored chunks, of one execution or of a whole sandbox."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.executions.records import Execution
from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.cursors import (
    SandboxPosition,
    decode_execution_cursor,
    decode_sandbox_cursor,
    encode_sandbox_cursor,
)
from commandcenter.logs.records import LogChunkRecord, LogStream
from commandcenter.logs.store import read_chunks
from commandcenter.logs.unread import finish, unread_executions
from commandcenter.pages import PageRequest
from commandcenter.sandboxes.records import Sandbox

_LARGEST_PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """Chunks in order, each with the cursor after it."""

    chunks: Sequence[LogChunk]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


async def read_execution_page(
    session: AsyncSession,
    scope: Scope,
    execution: Execution,
    *,
    first: int | None,
    after: str | None,
    stream: LogStream | None,
) -> ChunkPage:
    """The chunks of an execution after a cursor; fewer than asked for where they are large."""
    size = PageRequest(first=first).size
    position = decode_execution_cursor(after, execution.id)
    chunks = await read_chunks(
        session,
        scope,
        [(execution.id, position)],
        most_bytes=_LARGEST_PAGE_BYTES,
        most_chunks=size + 1,
        stream=stream,
    )
    shown = chunks[:size]
    has_next = len(chunks) > size
    if not has_next and _is_cut_short(shown):
        has_next = await _follows(session, scope, [(execution.id, shown[-1].sequence)], stream)
    return ChunkPage(
        chunks=shown,
        cursors=[chunk.cursor for chunk in shown],
        has_next=has_next,
        has_previous=position > 0,
    )


async def read_sandbox_page(
    session: AsyncSession,
    scope: Scope,
    sandbox: Sandbox,
    *,
    first: int | None,
    after: str | None,
    stream: LogStream | None,
) -> ChunkPage:
    """The chunks of all executions of a sandbox after a cursor, execution by execution."""
    size = PageRequest(first=first).size
    position = decode_sandbox_cursor(after, sandbox.id)
    unread, chunks = await _first_chunks(session, scope, sandbox, position, size + 1, stream)
    shown = chunks[:size]
    cursors = []
    for chunk in shown:
        position.partial[chunk.execution_number] = chunk.sequence
        finish([one for one in unread if one.number < chunk.execution_number], position)
        cursors.append(encode_sandbox_cursor(sandbox.id, position))
    has_next = len(chunks) > size
    if not has_next and _is_cut_short(shown):
        _, following = await _first_chunks(session, scope, sandbox, position, 1, stream)
        has_next = bool(following)
    return ChunkPage(chunks=shown, cursors=cursors, has_next=has_next, has_previous=after is not None)


async def _first_chunks(
    session: AsyncSession,
    scope: Scope,
    sandbox: Sandbox,
    position: SandboxPosition,
    most: int,
    stream: LogStream | None,
) -> tuple[list[Execution], list[LogChunk]]:
    """The first chunks after a position, and the executions that were looked at for them."""
    executions: list[Execution] = []
    chunks: list[LogChunk] = []
    unread = unread_executions(session, scope, sandbox.id, position, only_with_output=True)
    async with aclosing(unread):
        async for some in unread:
            executions += some
            chunks += await read_chunks(
                session,
                scope,
                [(execution.id, position.sequence(execution.number)) for execution in some],
                most_bytes=_LARGEST_PAGE_BYTES - _bytes(chunks),
                most_chunks=most - len(chunks),
                stream=stream,
            )
            if len(chunks) == most or _is_cut_short(chunks):
                break
    return executions, chunks


def _is_cut_short(chunks: Sequence[LogChunk]) -> bool:
    """Whether a page's bytes, not its count, ended it."""
    return _bytes(chunks) >= _LARGEST_PAGE_BYTES


def _bytes(chunks: Sequence[LogChunk]) -> int:
    return sum(len(chunk.data) for chunk in chunks)


async def _follows(
    session: AsyncSession,
    scope: Scope,
    positions: Sequence[tuple[UUID, int]],
    stream: LogStream | None,
) -> bool:
    """Whether there is anything after the positions."""
    return bool(await read_chunks(session, scope, positions, most_bytes=1, most_chunks=1, stream=stream))


async def count_execution_chunks(
    session: AsyncSession, scope: Scope, execution: Execution, stream: LogStream | None
) -> int:
    """How many chunks an execution has."""
    query = select(func.count()).where(
        LogChunkRecord.execution_id == execution.id, LogChunkRecord.project_id == scope.project_id
    )
    if stream is not None:
        query = query.where(LogChunkRecord.stream == stream)
    return (await session.execute(query)).scalar_one()


async def count_sandbox_chunks(
    session: AsyncSession, scope: Scope, sandbox: Sandbox, stream: LogStream | None
) -> int:
    """How many chunks all executions of a sandbox have."""
    query = (
        select(func.count())
        .select_from(LogChunkRecord)
        .join(Execution, Execution.id == LogChunkRecord.execution_id)
        .where(Execution.sandbox_id == sandbox.id, Execution.project_id == scope.project_id)
    )
    if stream is not None:
        query = query.where(LogChunkRecord.stream == stream)
    return (await session.execute(query)).scalar_one()
