"""Following all executions of a sandbox at once; see `follow` for the way of one.

The cursor is a vector over the executions' numbers, which follow the order of commits: an execution that
was not there at the last look has a number that the cursor does not hold.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.executions.records import Execution
from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.cursors import SandboxPosition, decode_sandbox_cursor, encode_sandbox_cursor
from commandcenter.logs.feed import FeedQueue
from commandcenter.logs.follow import LARGEST_BATCH_BYTES, LogBatch, as_batch, runs, woken
from commandcenter.logs.store import read_chunks
from commandcenter.logs.unread import finish, is_read_whole, unread_executions
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from commandcenter.signals import Listener, execution_topic, log_topic, sandbox_topic


async def follow_sandbox(
    services: Services, scope: Scope, sandbox_id: UUID, after: str | None
) -> AsyncGenerator[LogBatch, None]:
    """The output of all executions of a sandbox after a cursor, live, until the sandbox has ended."""
    position = decode_sandbox_cursor(after, sandbox_id)
    async with services.database.transaction(scope.project_id) as session:
        await get_sandbox(session, scope, sandbox_id)
    wake = asyncio.Event()
    topics = (log_topic(sandbox_id), execution_topic(sandbox_id), sandbox_topic(scope.project_id))
    with (
        services.recorder.feed.subscribe(sandbox_id, wake) as queue,
        services.signals.listen(*topics, wake=wake) as listener,
    ):
        while True:
            async with services.database.transaction(scope.project_id) as session:
                sandbox = await get_sandbox(session, scope, sandbox_id)
                unread, chunks = await _first_news(session, scope, sandbox_id, position)
            for batch in _batches(chunks, sandbox_id, position):
                yield batch
            finished = finish(unread, position)
            if chunks or finished:
                continue
            if sandbox.status is SandboxStatus.TERMINATED and not unread:
                yield LogBatch((), encode_sandbox_cursor(sandbox_id, position), ended=True)
                return
            async for live in _live(services, sandbox_id, position, wake, queue, listener):
                for batch in _batches(live, sandbox_id, position):
                    yield batch


async def _first_news(
    session: AsyncSession, scope: Scope, sandbox_id: UUID, position: SandboxPosition
) -> tuple[list[Execution], list[LogChunk]]:
    """Unread executions up to some that bring the reader on, or all; and the chunks that follow of them."""
    executions: list[Execution] = []
    unread = unread_executions(session, scope, sandbox_id, position)
    async with aclosing(unread):
        async for some in unread:
            executions += some
            chunks = await _read(session, scope, some, position)
            if chunks or any(is_read_whole(execution, position) for execution in some):
                return executions, chunks
    return executions, []


async def _read(
    session: AsyncSession, scope: Scope, unread: Sequence[Execution], position: SandboxPosition
) -> list[LogChunk]:
    behind = [
        (execution.id, position.sequence(execution.number))
        for execution in unread
        if execution.last_sequence > position.sequence(execution.number)
    ]
    if not behind:
        return []
    return await read_chunks(session, scope, behind, most_bytes=LARGEST_BATCH_BYTES)


def _batches(chunks: Sequence[LogChunk], sandbox_id: UUID, position: SandboxPosition) -> Iterator[LogBatch]:
    for run in runs(chunks):
        for chunk in run:
            position.partial[chunk.execution_number] = chunk.sequence
        yield as_batch(run, encode_sandbox_cursor(sandbox_id, position))


async def _live(
    services: Services,
    sandbox_id: UUID,
    position: SandboxPosition,
    wake: asyncio.Event,
    queue: FeedQueue,
    listener: Listener,
) -> AsyncGenerator[list[LogChunk], None]:
    """Chunks of the feed for as long as they follow on; ends when the database has to be read."""
    while await woken(wake):
        fresh, signals = queue.take_all(), listener.take_all()
        if fresh is None or signals is None:
            return
        following, jumped = _following(fresh, position)
        if following:
            yield following
        if jumped or any(_tells_news(topic, payload, sandbox_id, services) for topic, payload in signals):
            return


def _following(fresh: Sequence[LogChunk], position: SandboxPosition) -> tuple[list[LogChunk], bool]:
    """Those of `fresh` that follow on, and whether any did not."""
    at: dict[int, int] = {}
    following: list[LogChunk] = []
    for chunk in fresh:
        reached = at.get(chunk.execution_number, position.sequence(chunk.execution_number))
        if chunk.sequence <= reached or position.is_complete(chunk.execution_number):
            continue
        if chunk.sequence != reached + 1:
            return following, True
        at[chunk.execution_number] = chunk.sequence
        following.append(chunk)
    return following, False


def _tells_news(topic: str, payload: str, sandbox_id: UUID, services: Services) -> bool:
    """Whether a signal tells of something that this process's own feed does not bring."""
    if topic.startswith("logs:"):
        return not payload.endswith(str(services.process_id))
    return not topic.startswith("sandboxes:") or payload == str(sandbox_id)
