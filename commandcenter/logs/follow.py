"""Following output: history from the cursor, then live, without a gap or a doubled chunk.

The database is read from the cursor until nothing is left; then chunks come from this process's own feed
where they follow on, and any doubt (a jump, a dropped queue, another process's signal, too long a silence)
leads back to the database. So whatever is lost on the way, nothing is lost to the reader.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.executions.queries import get_execution
from commandcenter.executions.records import Execution
from commandcenter.logs.chunks import LogChunk, LogGap
from commandcenter.logs.cursors import decode_execution_cursor, encode_execution_cursor
from commandcenter.logs.feed import FeedQueue
from commandcenter.logs.store import read_chunks
from commandcenter.services import Services
from commandcenter.signals import Listener, execution_topic, log_topic

LARGEST_BATCH_BYTES = 256 * 1024
# With Valkey away, output of other processes is seen this late.
LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Chunks in order, and the cursor after the last. A gap stands alone, before what follows it."""

    chunks: Sequence[LogChunk]
    cursor: str
    gap: LogGap | None = None
    ended: bool = False


async def follow_execution(
    services: Services, scope: Scope, execution_id: UUID, after: str | None
) -> AsyncGenerator[LogBatch, None]:
    """An execution's output after a cursor, live, until it has ended; the last batch says `ended`."""
    async with services.database.transaction(scope.project_id) as session:
        execution = await get_execution(session, scope, execution_id)
    position = decode_execution_cursor(after, execution_id)
    wake = asyncio.Event()
    topics = (log_topic(execution.sandbox_id), execution_topic(execution.sandbox_id))
    with (
        services.recorder.feed.subscribe(execution_id, wake) as queue,
        services.signals.listen(*topics, wake=wake) as listener,
    ):
        while True:
            chunks, execution = await _read(services, scope, execution_id, position)
            for batch in execution_batches(chunks):
                yield batch
            if chunks:
                position = chunks[-1].sequence
                if position < execution.last_sequence:
                    continue
            if execution.has_ended:
                yield LogBatch((), encode_execution_cursor(execution_id, position), ended=True)
                return
            async for chunk_run in _live(services, execution_id, position, wake, queue, listener):
                for batch in execution_batches(chunk_run):
                    yield batch
                position = chunk_run[-1].sequence


async def _read(
    services: Services, scope: Scope, execution_id: UUID, position: int
) -> tuple[list[LogChunk], Execution]:
    """The next chunks and the execution, in one snapshot's order: chunks last, so that an end is the end."""
    async with services.database.transaction(scope.project_id) as session:
        execution = await get_execution(session, scope, execution_id)
        if position >= execution.last_sequence:
            return [], execution
        chunks = await read_chunks(session, scope, [(execution_id, position)], most_bytes=LARGEST_BATCH_BYTES)
        return chunks, execution


async def _live(
    services: Services,
    execution_id: UUID,
    position: int,
    wake: asyncio.Event,
    queue: FeedQueue,
    listener: Listener,
) -> AsyncGenerator[list[LogChunk], None]:
    """Chunks of the feed for as long as they follow on; ends when the database has to be read."""
    while True:
        if not await woken(wake):
            return
        fresh, signals = queue.take_all(), listener.take_all()
        if fresh is None or signals is None:
            return
        following = [chunk for chunk in fresh if chunk.sequence > position]
        if following:
            if following[0].sequence != position + 1:
                return
            position = following[-1].sequence
            yield following
        if any(concerns(payload, execution_id, services.process_id) for _, payload in signals):
            return


def concerns(payload: str, execution_id: UUID, process_id: UUID) -> bool:
    """Whether a signal tells of something that this process's own feed does not bring."""
    subject, _, origin = payload.partition("/")
    return subject == str(execution_id) and origin != str(process_id)


async def woken(wake: asyncio.Event) -> bool:
    """Wait for something new; False when it is time to look without being told."""
    try:
        await asyncio.wait_for(wake.wait(), LOOK_AGAIN_SECONDS)
    except TimeoutError:
        return False
    wake.clear()
    return True


def execution_batches(chunks: Iterable[LogChunk]) -> Iterator[LogBatch]:
    """Batches of one execution's chunks, of bounded size; each gap in one of its own."""
    for run in runs(chunks):
        cursor = encode_execution_cursor(run[-1].execution_id, run[-1].sequence)
        yield as_batch(run, cursor)


def as_batch(run: list[LogChunk], cursor: str) -> LogBatch:
    """A batch of chunks, or of the one gap."""
    return LogBatch((), cursor, gap=run[0].gap) if run[0].gap else LogBatch(run, cursor)


def runs(chunks: Iterable[LogChunk]) -> Iterator[list[LogChunk]]:
    """Cut chunks into runs of at most a batch's size; a gap is a run of its own."""
    run: list[LogChunk] = []
    size = 0
    for chunk in chunks:
        if run and (chunk.gap or run[-1].gap or size + len(chunk.data) > LARGEST_BATCH_BYTES):
            yield run
            run, size = [], 0
        run.append(chunk)
        size += len(chunk.data)
    if run:
        yield run
