"""The recorder: one writer a process that stores the output of all its executions.

It gathers for a few milliseconds, stores the chunks of many executions in one transaction a project, and
only then shows them (contract 4). Each execution gets an equal part of a round, so that one that floods
does not hold up the others (contract 5). While the database is away it tries again, with memory bounded by
`MOST_PENDING_BYTES` an execution.
"""

import asyncio
from collections import defaultdict
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from commandcenter.database import Database
from commandcenter.errors import DomainError
from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.feed import LogFeed
from commandcenter.logs.pending import PendingOutput
from commandcenter.logs.store import StoredChunks, store_chunks
from commandcenter.outages import despite_outages
from commandcenter.signals import Signals, log_payload, log_topic

_log = structlog.get_logger()

_GATHER_SECONDS = 0.005
# The rest of a write that was split on its way comes sooner.
_LONGEST_DOUBT_SECONDS = 0.05
_ROUND_BYTES = 4 * 1024 * 1024
_LEAST_SHARE_BYTES, _LARGEST_SHARE_BYTES = 64 * 1024, 1024 * 1024


class LogRecorder:
    """Stores output, and feeds it to this process's subscribers once it is stored."""

    def __init__(self, database: Database, signals: Signals, process_id: UUID) -> None:
        self.feed = LogFeed()
        self._database = database
        self._signals = signals
        self._process_id = process_id
        self._dirty: dict[UUID, PendingOutput] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="log-recorder")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def notice(self, pending: PendingOutput) -> None:
        """There is something to store."""
        self._dirty[pending.execution_id] = pending
        self._wake.set()
        if pending.has_short_beginning:
            asyncio.get_running_loop().call_later(
                _LONGEST_DOUBT_SECONDS, self._end_doubt, pending, pending.bytes_added
            )

    def _end_doubt(self, pending: PendingOutput, bytes_added: int) -> None:
        """Show what nothing has followed by now: a prompt may end like a secret begins."""
        if pending.bytes_added == bytes_added and not pending.lost_ownership:
            pending.show_beginnings()
            self._dirty[pending.execution_id] = pending
            self._wake.set()

    async def drain(self, pending: PendingOutput) -> None:
        """Wait until all that came of one execution is stored; no more comes. `OwnershipLostError`."""
        pending.finish()
        self.notice(pending)
        await pending.wait_until_stored()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            await self._store_round()

    async def _store_round(self) -> None:
        share = _ROUND_BYTES // max(len(self._dirty), 1)
        share = min(max(share, _LEAST_SHARE_BYTES), _LARGEST_SHARE_BYTES)
        by_project: defaultdict[UUID, list[tuple[PendingOutput, list[LogChunk]]]] = defaultdict(list)
        for execution_id, pending in list(self._dirty.items()):
            by_project[pending.project_id].append((pending, pending.take(share)))
            if not pending.has_output:
                del self._dirty[execution_id]
        for project_id, taken in by_project.items():
            await self._store_until_done(project_id, taken)
        if self._dirty:
            self._wake.set()

    async def _store_until_done(
        self, project_id: UUID, taken: list[tuple[PendingOutput, list[LogChunk]]]
    ) -> None:
        """Store one project's chunks, however long the database is away.

        What it refuses for another reason would be refused again: then the executions are let go, and end as
        LOST with a gap, rather than hold up the others.
        """
        batches = [(pending, chunks) for pending, chunks in taken if chunks or pending.has_moved_on]
        try:
            outcome = await despite_outages(
                partial(store_chunks, self._database, project_id, self._process_id, batches)
            )
        except Exception:
            _log.exception("logs.store_refused", executions=len(batches))
            outcome = StoredChunks()
        for pending, chunks in taken:
            if chunks and pending.execution_id in outcome.to_mask_anew and await _knows_more(pending):
                pending.take_back(chunks)
                self.notice(pending)
                continue
            if (chunks or pending.has_moved_on) and pending.execution_id not in outcome.stored:
                pending.disown()
                continue
            pending.stored(chunks)
            if chunks:
                self.feed.deliver(pending.execution_id, pending.sandbox_id, chunks)
                self._signals.publish(
                    log_topic(pending.sandbox_id), log_payload(pending.execution_id, self._process_id)
                )


async def _knows_more(pending: PendingOutput) -> bool:
    """Read which secrets the sandbox was given meanwhile; False where they can't be had, nor so be masked."""
    mask = pending.mask
    if mask is None:
        return False
    try:
        await despite_outages(mask.refresh)
    except DomainError as error:
        _log.error("logs.cannot_be_masked", execution_id=str(pending.execution_id), error=error.message)
    return mask.given.count > pending.taken_with
