"""The feed: chunks that this process has just stored, straight to its own subscribers.

It saves them the way over the database; it promises nothing. A subscriber that does not keep up loses its
queue, not its lines: it reads the database again from its cursor.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterator
from uuid import UUID

from commandcenter.logs.chunks import LogChunk

MOST_QUEUED_BYTES = 4 * 1024 * 1024


class FeedQueue:
    """One subscriber's chunks, bounded; they are shared with the other subscribers, not copied."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._chunks: deque[LogChunk] = deque()
        self._bytes = 0
        self._overflowed = False
        self._wake = wake

    def offer(self, chunks: list[LogChunk]) -> None:
        """Take chunks; beyond the bound forget all, so that the subscriber reads the database."""
        self._bytes += sum(len(chunk.data) for chunk in chunks)
        if self._bytes > MOST_QUEUED_BYTES:
            self._chunks.clear()
            self._bytes = 0
            self._overflowed = True
        else:
            self._chunks.extend(chunks)
        self._wake.set()

    def take_all(self) -> list[LogChunk] | None:
        """Everything that has come since the last call; None when some of it was dropped."""
        chunks = None if self._overflowed else list(self._chunks)
        self._overflowed = False
        self._chunks.clear()
        self._bytes = 0
        return chunks


class LogFeed:
    """The subscribers of this process, by execution and by sandbox."""

    def __init__(self) -> None:
        self._queues: defaultdict[UUID, set[FeedQueue]] = defaultdict(set)

    def deliver(self, execution_id: UUID, sandbox_id: UUID, chunks: list[LogChunk]) -> None:
        """Hand stored chunks to those who follow the execution or its sandbox."""
        for subject in (execution_id, sandbox_id):
            for queue in self._queues.get(subject, ()):
                queue.offer(chunks)

    @contextlib.contextmanager
    def subscribe(self, subject_id: UUID, wake: asyncio.Event) -> Iterator[FeedQueue]:
        """Follow an execution or a sandbox for as long as the block runs; `wake` is set when chunks come."""
        queue = FeedQueue(wake)
        self._queues[subject_id].add(queue)
        try:
            yield queue
        finally:
            self._queues[subject_id].discard(queue)
            if not self._queues[subject_id]:
                del self._queues[subject_id]
