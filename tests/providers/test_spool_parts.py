"""The marks in a stream and the pieces of it, whatever comes and however it is cut."""

from hypothesis import given
from hypothesis import strategies as st

from commandcenter.providers.endings import Ended
from commandcenter.providers.spool.marks import MarkedStream
from commandcenter.providers.spool.missing import next_kept

TAG = "a-tag"
BEGIN = b"\xff\x1ea-tag begin\x1e"
END = b"\xff\x1ea-tag exit 3\x1e"
# Bytes of which beginnings of marks are made, and what is like a mark and is none.
LIKE_MARKS = [
    b"\xff",
    b"\x1e",
    END[:-1],
    b"\xff\x1ea-tag ",
    b"\xff\x1ea-tag exit\x1e",
    b"\xff\x1ea-tag signal 1234\x1e",
]
OUTPUT = st.lists(st.one_of(st.binary(max_size=8), st.sampled_from(LIKE_MARKS))).map(b"".join)


def taken(stream: MarkedStream, data: bytes, cuts: list[int]) -> bytes:
    """What comes out of `data` in pieces of these sizes, and of what is left in one."""
    own = b""
    for size in cuts:
        own += stream.take(data[:size])
        data = data[size:]
    return own + stream.take(data)


@given(st.binary(max_size=20), OUTPUT, OUTPUT, st.lists(st.integers(1, 9)))
def test_the_commands_own_bytes_come_out_however_they_are_cut(
    before: bytes, output: bytes, after: bytes, cuts: list[int]
) -> None:
    if BEGIN in before + BEGIN[:-1] or END in output + END[:-1]:
        return
    stream = MarkedStream(TAG, begun=False)
    assert taken(stream, before + BEGIN + output + END + after, cuts) == output
    assert stream.end == Ended(3)


@given(OUTPUT, st.lists(st.integers(1, 9)))
def test_only_what_may_be_a_mark_is_held_back(output: bytes, cuts: list[int]) -> None:
    stream = MarkedStream(TAG, begun=True)
    if END in output:
        return
    own = taken(stream, output, cuts)
    assert output.startswith(own)
    assert len(output) - len(own) < len(END) + 40
    assert own + stream.take(b" and no mark" * 8) == output + b" and no mark" * 8


PIECES = st.dictionaries(st.integers(0, 6), st.integers(0, 10), max_size=5)


@given(PIECES, st.integers(0, 80))
def test_what_is_skipped_is_kept_nowhere(pieces: dict[int, int], offset: int) -> None:
    kept = {number * 10 + place for number, size in pieces.items() for place in range(size)}
    begin = next_kept(pieces, 10, offset)
    assert begin >= offset
    assert not kept & set(range(offset, begin))
    # There it can be read at once, or nothing behind it is kept.
    assert (
        begin in kept
        or begin in {number * 10 for number in pieces}
        or not [each for each in kept if each > begin]
    )
