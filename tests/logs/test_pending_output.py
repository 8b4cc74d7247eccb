"""Whatever is written, however it is split and taken: every byte once, in order, no character cut."""

import asyncio
from collections import defaultdict
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from commandcenter.logs.characters import incomplete_tail
from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.pending import LARGEST_CHUNK_BYTES, MOST_PENDING_BYTES, PendingOutput
from commandcenter.logs.records import LogStream

STREAMS = (LogStream.STDOUT, LogStream.STDERR)
# Text and its pieces, and what is no text, so that characters are often begun and not always finished.
PIECES = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=6).map(str.encode),
    st.sampled_from(
        ["é".encode()[:1], "✓".encode()[:2], "😀".encode()[:3], "😀".encode()[3:], b"\xff", b"\0"]
    ),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=3), st.just(50_000)),
)
WRITES = st.tuples(st.sampled_from(STREAMS), PIECES)
TAKES = st.integers(min_value=1, max_value=200_000)
GAPS = st.sampled_from(STREAMS).map(lambda stream: (stream, None))
STEPS = st.lists(st.one_of(WRITES, WRITES, TAKES, GAPS), max_size=40)
ID = UUID(int=7)


@given(STEPS)
def test_any_writes_and_takes_give_every_byte_once_in_order(
    steps: list[tuple[LogStream, bytes | None] | int],
) -> None:
    written, chunks = played(steps)
    assert [chunk.sequence for chunk in chunks] == list(range(1, len(chunks) + 1))
    reached: defaultdict[LogStream, bytes] = defaultdict(bytes)
    for chunk in chunks:
        assert chunk.offset == len(reached[chunk.stream])
        assert len(chunk.data) <= LARGEST_CHUNK_BYTES
        assert chunk.data or chunk.gap
        reached[chunk.stream] += chunk.data
        if chunk.gap:
            assert chunk.gap.from_offset == chunk.offset
    assert {stream: data for stream, data in reached.items() if data} == written


@given(STEPS)
def test_a_gap_stands_where_output_stopped(steps: list[tuple[LogStream, bytes | None] | int]) -> None:
    expected: list[tuple[LogStream, int]] = []
    lengths: defaultdict[LogStream, int] = defaultdict(int)
    for step in steps:
        if isinstance(step, tuple):
            stream, data = step
            if data is None:
                expected.append((stream, lengths[stream]))
            lengths[stream] += len(data or b"")
    _, chunks = played(steps)
    assert [(chunk.stream, chunk.gap.from_offset) for chunk in chunks if chunk.gap] == expected


@given(st.lists(st.one_of(st.binary(max_size=12), st.integers(1, 10**12), TAKES.map(str))))
def test_output_goes_on_behind_a_gap_of_known_size(steps: list[bytes | int | str]) -> None:
    pending = new_pending()
    reached, expected = 0, []
    chunks: list[LogChunk] = []
    for step in steps:
        match step:
            case bytes():
                pending.add(LogStream.STDOUT, step)
                reached += len(step)
            case int():
                expected.append((reached, reached + step))
                reached += step
                pending.add_gap(LogStream.STDOUT, "lost", reached)
            case str():
                chunks += stored(pending, int(step))
    pending.finish()
    chunks += stored(pending)
    assert [(chunk.gap.from_offset, chunk.gap.to_offset) for chunk in chunks if chunk.gap] == expected
    assert pending.offsets[LogStream.STDOUT] == reached
    written = sum(len(step) for step in steps if isinstance(step, bytes))
    assert sum(len(chunk.data) for chunk in chunks) == written


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(1, 30)), max_size=20))
def test_no_character_is_cut_however_writes_split_it(parts: list[tuple[str, int]]) -> None:
    pending = new_pending()
    text, chunks = "", []
    for part, size in parts:
        text += part
        encoded = part.encode()
        for start in range(0, len(encoded), size):
            pending.add(LogStream.STDOUT, encoded[start : start + size])
            chunks += stored(pending)
    pending.finish()
    chunks += stored(pending)
    assert "".join(chunk.text for chunk in chunks) == text


@given(st.binary(max_size=10), st.text(max_size=3))
@example(b"\xed\xa0", "")
def test_a_tail_is_incomplete_only_where_more_bytes_can_finish_it(data: bytes, text: str) -> None:
    assert incomplete_tail(text.encode()) == 0
    held_back = incomplete_tail(data)
    assert 0 <= held_back <= 3
    if held_back:
        tail = data[-held_back:]
        assert any(is_text(tail + rest) for rest in continuations(held_back))


async def test_a_writer_waits_while_too_much_is_pending() -> None:
    pending = new_pending()
    await pending.wait_for_room()
    pending.add(LogStream.STDOUT, bytes(MOST_PENDING_BYTES))
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    stored(pending)
    await waiting
    await pending.wait_until_stored()


def played(
    steps: list[tuple[LogStream, bytes | None] | int],
) -> tuple[dict[LogStream, bytes], list[LogChunk]]:
    """What the steps wrote of each stream, and the chunks that came of it. A step is a write, or a take."""
    pending = new_pending()
    written: defaultdict[LogStream, bytes] = defaultdict(bytes)
    chunks: list[LogChunk] = []
    for step in steps:
        if isinstance(step, int):
            chunks += stored(pending, step)
            continue
        stream, data = step
        if data is None:
            pending.add_gap(stream, "lost")
        else:
            pending.add(stream, data)
            written[stream] += data
    pending.finish()
    while pending.has_output:
        chunks += stored(pending)
    return {stream: data for stream, data in written.items() if data}, chunks


def stored(pending: PendingOutput, most_bytes: int = 10_000_000) -> list[LogChunk]:
    chunks = pending.take(most_bytes)
    pending.stored(chunks)
    return chunks


def new_pending() -> PendingOutput:
    return PendingOutput(project_id=ID, sandbox_id=ID, execution_id=ID, execution_number=1)


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def continuations(length: int) -> list[bytes]:
    """Bytes that finish a character of which `length` bytes are there, whatever its length."""
    middles = (0x80, 0x90, 0xA0, 0xBF)
    return [bytes([first] + [0x80] * more) for more in range(4 - length) for first in middles]
