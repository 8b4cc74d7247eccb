"""One execution's output between its process and the database: bounded, in order, cut into chunks."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commandcenter.clock import now
from commandcenter.logs.characters import incomplete_tail
from commandcenter.logs.chunks import LogChunk, LogGap
from commandcenter.logs.masking import OutputMask
from commandcenter.logs.records import LogStream
from commandcenter.secrets.masks import SandboxMask

LARGEST_CHUNK_BYTES = 64 * 1024
MOST_PENDING_BYTES = 2 * 1024 * 1024


class OwnershipLostError(Exception):
    """Another process reads this execution now; what this one holds is not written."""


@dataclass(slots=True)
class _Segment:
    stream: LogStream
    data: bytearray
    at: datetime
    gap: LogGap | None = None
    passed_over: int = 0
    """So many bytes were written here that are not kept, after a gap without an end."""


class PendingOutput:
    """The bytes of one execution that are not stored yet, and the numbers that the next chunks get.

    `offsets` say how much of each stream is stored from before; `on_stored` is called each time that more is.
    Who adds waits for room first, and so slows the process that writes rather than losing anything or
    growing. Only the recorder takes from it.

    `mask` says which secrets are hidden; what may be the beginning of one waits for what follows it.
    `context` says how many bytes before each stream's offset are added first: whoever goes on with output
    that is stored needs them to see a secret's rest (`mask.given.context_bytes`, or as many as there are).
    """

    def __init__(
        self,
        *,
        project_id: UUID,
        sandbox_id: UUID,
        execution_id: UUID,
        execution_number: int,
        last_sequence: int = 0,
        offsets: Mapping[LogStream, int] | None = None,
        on_stored: Callable[[], None] = lambda: None,
        mask: SandboxMask | None = None,
        context: Mapping[LogStream, int] | None = None,
    ) -> None:
        self.project_id = project_id
        self.sandbox_id = sandbox_id
        self.execution_id = execution_id
        self.execution_number = execution_number
        self.last_sequence = last_sequence
        self.offsets: dict[LogStream, int] = {**dict.fromkeys(LogStream, 0), **(offsets or {})}
        self.stored_offsets = dict(self.offsets)
        self.lost_ownership = False
        self.mask = mask
        # The sandbox's `secret_count` with which what was last taken is masked.
        self.taken_with = 0
        self.bytes_added = 0
        self._output_mask = OutputMask(mask, context or {})
        self._context = dict(context or {})
        self._on_stored = on_stored
        self._segments: deque[_Segment] = deque()
        # The beginnings of characters whose rest has not come yet (at most 3 bytes a stream).
        self._unfinished: dict[LogStream, bytes] = {}
        self._cut_off: set[LogStream] = set()
        self._taken_up_to = dict(self.offsets)
        self._is_finished = False
        self._pending_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def has_output(self) -> bool:
        """Whether there is anything to store."""
        return bool(self._segments)

    @property
    def has_short_beginning(self) -> bool:
        """Whether some bytes wait only because a secret begins like them."""
        return self._output_mask.has_short_beginning

    def add(self, stream: LogStream, data: bytes) -> None:
        """Take bytes in the order in which they came."""
        self._mask_anew_if_needed()
        known = min(self._context.get(stream, 0), len(data))
        if known:
            self._context[stream] -= known
        self.bytes_added += len(data)
        self._pending_bytes += len(data) - known
        if self._pending_bytes >= MOST_PENDING_BYTES:
            self._room.clear()
        self._append(stream, self._output_mask.add(stream, data), now())

    def show_beginnings(self) -> None:
        """Let out what waits only because a secret begins like it; the rest of one is still masked."""
        for stream, data in self._output_mask.beginnings():
            self._append(stream, data, now())

    def _append(self, stream: LogStream, data: bytes, at: datetime) -> None:
        if not data:
            return
        data = self._unfinished.pop(stream, b"") + data
        last = self._segments[-1] if self._segments else None
        follows_on = last is not None and last.stream is stream and last.gap is None and not last.passed_over
        if last is not None and follows_on and len(last.data) < LARGEST_CHUNK_BYTES:
            last.data += data
        else:
            self._segments.append(_Segment(stream, bytearray(data), at))
        self._empty.clear()

    def add_gap(self, stream: LogStream, reason: str, to_offset: int | None = None) -> None:
        """Say that output of `stream` could not be had from here, up to `to_offset` where that is known.

        What is added next begins there, or here.
        """
        reached = self._reached(stream)
        if self._context.pop(stream, 0) and to_offset is not None and to_offset <= reached:
            # Only of the context some is missing.
            self._context[stream] = reached - to_offset
            self._output_mask.begin_anew(stream, reached - to_offset)
            return
        self._release(stream)
        self._release_unfinished()
        gap = LogGap(stream, from_offset=self._reached(stream), to_offset=to_offset, reason=reason)
        self._segments.append(_Segment(stream, bytearray(), now(), gap))
        self._empty.clear()

    def pass_over(self, stream: LogStream, size: int, reason: str) -> None:
        """Note bytes that are not kept, nor any that follow in their stream: one gap says so and why."""
        if stream not in self._cut_off:
            self._cut_off.add(stream)
            self.add_gap(stream, reason)
        last = self._segments[-1] if self._segments else None
        if last is not None and last.stream is stream and last.passed_over:
            last.passed_over += size
        else:
            self._segments.append(_Segment(stream, bytearray(), now(), passed_over=size))
        self._empty.clear()

    def _reached(self, stream: LogStream) -> int:
        """The offset at which what is added next to a stream begins."""
        reached = self.offsets[stream]
        for segment in self._segments:
            if segment.stream is stream:
                reached += len(segment.data) + segment.passed_over
                if segment.gap is not None and segment.gap.to_offset is not None:
                    reached = segment.gap.to_offset
        return reached

    async def wait_for_room(self) -> None:
        """Wait until more may be added; raises `OwnershipLostError` once it never will be."""
        await self._room.wait()
        if self.lost_ownership:
            raise OwnershipLostError

    def finish(self) -> None:
        """Note that no more comes: the beginnings of characters are then output like any other."""
        self._is_finished = True
        self._release_all()

    async def wait_until_stored(self) -> None:
        """Wait until everything that was added is in the database; raises `OwnershipLostError`."""
        await self._empty.wait()
        if self.lost_ownership:
            raise OwnershipLostError

    def take(self, most_bytes: int) -> list[LogChunk]:
        """The next chunks, about `most_bytes` in all; call `stored` once they are in the database."""
        self._mask_anew_if_needed()
        self.taken_with = self._output_mask.masked_with
        chunks: list[LogChunk] = []
        taken = 0
        while self._segments and taken < most_bytes:
            if self._segments[0].passed_over and chunks:
                # By itself, as chunks may be taken back.
                break
            chunk = self._cut(self._segments.popleft())
            if chunk is not None:
                chunks.append(chunk)
                taken += len(chunk.data)
        self._taken_up_to = dict(self.offsets)
        return chunks

    @property
    def has_moved_on(self) -> bool:
        """Whether what was last taken brings a stream further than what is stored."""
        return self._taken_up_to != self.stored_offsets

    def stored(self, chunks: list[LogChunk]) -> None:
        """Note that the chunks are in the database."""
        for chunk in chunks:
            self._pending_bytes -= len(chunk.data)
        self.stored_offsets = dict(self._taken_up_to)
        if self._pending_bytes < MOST_PENDING_BYTES:
            self._room.set()
        if not self._segments:
            self._empty.set()
        self._on_stored()

    def take_back(self, chunks: list[LogChunk]) -> None:
        """Note that the chunks were not stored: they come again, masked with what the mask says by then."""
        for chunk in reversed(chunks):
            self._segments.appendleft(_Segment(chunk.stream, bytearray(chunk.data), chunk.at, chunk.gap))
            self.last_sequence = chunk.sequence - 1
            self.offsets[chunk.stream] = chunk.offset

    def disown(self) -> None:
        """Let go: somebody else owns the execution."""
        self.lost_ownership = True
        self._segments.clear()
        self._unfinished.clear()
        self._room.set()
        self._empty.set()

    def _cut(self, segment: _Segment) -> LogChunk | None:
        """A chunk from the front of a segment; what is left of it stays.

        None when it is but the beginning of a character, which is kept until its rest comes.
        """
        if segment.passed_over:
            self.offsets[segment.stream] += segment.passed_over
            return None
        data, rest = bytes(segment.data[:LARGEST_CHUNK_BYTES]), segment.data[LARGEST_CHUNK_BYTES:]
        held_back = incomplete_tail(data)
        if held_back and (rest or self._continues(segment.stream)):
            data, beginning = data[:-held_back], data[-held_back:]
            if rest:
                rest[:0] = beginning
            else:
                self._hold(segment.stream, beginning)
        if rest:
            self._segments.appendleft(_Segment(segment.stream, rest, segment.at))
        if not data and segment.gap is None:
            return None
        self.last_sequence += 1
        offset = self.offsets[segment.stream]
        chunk = LogChunk(
            execution_id=self.execution_id,
            execution_number=self.execution_number,
            sandbox_id=self.sandbox_id,
            sequence=self.last_sequence,
            stream=segment.stream,
            offset=offset,
            data=data,
            at=segment.at,
            gap=segment.gap,
        )
        self.offsets[segment.stream] = _offset_after(chunk)
        return chunk

    def _continues(self, stream: LogStream) -> bool:
        """Whether a character that was begun may still be finished."""
        for segment in self._segments:
            if segment.stream is stream:
                return segment.gap is None and not segment.passed_over
        return not self._is_finished

    def _mask_anew_if_needed(self) -> None:
        """What waits here and was masked with fewer secrets than are known now is masked once more."""
        if not self._output_mask.is_behind:
            return
        self._output_mask.catch_up()
        segments, self._segments = self._segments, deque()
        unfinished, self._unfinished = self._unfinished, {}
        waiting = {segment.stream for segment in segments}
        kept = {stream: self._output_mask.end(stream) for stream in waiting}
        for segment in segments:
            if segment.gap is None and not segment.passed_over:
                masked = self._output_mask.add(segment.stream, bytes(segment.data))
                self._append(segment.stream, masked, segment.at)
            else:
                self._release(segment.stream)
                self._segments.append(segment)
        for stream, data in [*unfinished.items(), *kept.items()]:
            self._append(stream, self._output_mask.add(stream, data), now())
        if self._is_finished:
            self._release_all()

    def _release(self, stream: LogStream) -> None:
        """Let out what waits of a stream, because nothing that follows can make more of it."""
        self._append(stream, self._output_mask.end(stream), now())

    def _release_all(self) -> None:
        for stream in LogStream:
            self._release(stream)
        self._release_unfinished()

    def _release_unfinished(self) -> None:
        unfinished, self._unfinished = self._unfinished, {}
        for stream, data in unfinished.items():
            self._segments.append(_Segment(stream, bytearray(data), now()))
            self._empty.clear()

    def _hold(self, stream: LogStream, beginning: bytes) -> None:
        """Keep the beginning of a character for the next output of its stream."""
        for segment in self._segments:
            if segment.stream is stream:
                segment.data[:0] = beginning
                return
        self._unfinished[stream] = beginning


def _offset_after(chunk: LogChunk) -> int:
    if chunk.gap is not None and chunk.gap.to_offset is not None:
        return chunk.gap.to_offset
    return chunk.offset + len(chunk.data)
