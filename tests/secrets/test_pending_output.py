"""Masking in what waits to be stored: offsets stay, secrets that come to be known late are masked as well."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from commandcenter.logs.chunks import LogChunk
from commandcenter.logs.pending import PendingOutput
from commandcenter.logs.records import LogStream
from commandcenter.secrets.given import GivenSecrets
from commandcenter.secrets.masks import SandboxMask
from commandcenter.secrets.matching import SecretForms

SECRET = b"correct horse"
LATER = b"battery staple"
ID = UUID(int=7)
BOTH = (LogStream.STDOUT, LogStream.STDERR)
PIECES = st.sampled_from(
    [
        SECRET,
        LATER,
        SECRET[:5],
        SECRET[5:],
        LATER[:9],
        LATER[9:],
        b"corr",
        b"\n",
        "é✓".encode(),
        b"\xc3",
        b"x" * 70_000,
    ]
)
WRITES = st.lists(st.tuples(st.sampled_from(BOTH), PIECES), max_size=20)


class Mask(SandboxMask):
    """A mask whose secrets the test gives, as `refresh` would read them."""

    def __init__(self, *values: bytes) -> None:
        self.give(*values)

    def give(self, *values: bytes) -> None:
        self.given = GivenSecrets(len(values), forms=SecretForms(values) if values else None)


def new_pending(mask: Mask, **values: object) -> PendingOutput:
    return PendingOutput(
        project_id=ID,
        sandbox_id=ID,
        execution_id=ID,
        execution_number=1,
        mask=mask,
        **values,  # type: ignore[arg-type]
    )


def whole(chunks: list[LogChunk], stream: LogStream, start: int = 0) -> bytes:
    """The bytes of a stream, whose chunks must follow on each other."""
    data = b""
    for chunk in chunks:
        if chunk.stream is stream:
            assert chunk.offset == start + len(data)
            data += chunk.data
    return data


def written(writes: list[tuple[LogStream, bytes]], stream: LogStream) -> bytes:
    return b"".join(data for each, data in writes if each is stream)


@given(WRITES, st.integers(1, 5))
def test_each_stream_is_masked_by_itself_and_keeps_its_offsets(
    writes: list[tuple[LogStream, bytes]], every: int
) -> None:
    mask = Mask(SECRET, LATER)
    pending, chunks = new_pending(mask), []
    for number, (stream, data) in enumerate(writes):
        pending.add(stream, data)
        if number % every == 0:
            chunks += pending.take(100_000)
    pending.finish()
    while pending.has_output:
        chunks += pending.take(100_000)
    assert [chunk.sequence for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert mask.given.forms is not None
    for stream in BOTH:
        assert whole(chunks, stream) == mask.given.forms.cover(written(writes, stream))


@given(WRITES, st.integers(0, 20), st.booleans())
def test_what_was_taken_and_not_stored_is_masked_anew_with_what_came_to_be_known(
    writes: list[tuple[LogStream, bytes]], known_after: int, ends_first: bool
) -> None:
    mask = Mask(SECRET)
    pending = new_pending(mask)
    for stream, data in writes[:known_after]:
        pending.add(stream, data)
    taken = pending.take(200_000)
    assert pending.taken_with == 1
    for stream, data in writes[known_after:]:
        pending.add(stream, data)
    if ends_first:
        pending.finish()
    mask.give(SECRET, LATER)
    pending.take_back(taken)
    pending.finish()
    chunks = []
    while pending.has_output:
        chunks += pending.take(100_000)
        assert pending.taken_with == 2
    for stream in BOTH:
        shown = whole(chunks, stream)
        assert len(shown) == len(written(writes, stream))
        assert LATER not in shown
        assert SECRET not in shown


@given(WRITES, st.integers(0, 60))
def test_whoever_takes_over_masks_what_the_stored_offset_lies_in(
    writes: list[tuple[LogStream, bytes]], back: int
) -> None:
    mask = Mask(SECRET, LATER)
    forms = mask.given.forms
    assert forms is not None
    data = written(writes, LogStream.STDOUT)
    stored = max(len(data) - back, 0)
    context = min(stored, mask.given.context_bytes)
    pending = new_pending(mask, offsets={LogStream.STDOUT: stored}, context={LogStream.STDOUT: context})
    for start in range(stored - context, len(data), 7):
        pending.add(LogStream.STDOUT, data[start : start + 7])
    pending.finish()
    chunks = []
    while pending.has_output:
        chunks += pending.take(100_000)
    assert whole(chunks, LogStream.STDOUT, stored) == forms.cover(data)[stored:]


def test_a_prompt_that_ends_like_a_secret_begins_is_shown_and_the_rest_of_a_secret_is_not() -> None:
    pending = new_pending(Mask(SECRET))
    pending.add(LogStream.PTY, b"colour? co")
    assert whole(pending.take(100), LogStream.PTY) == b"colour? "
    assert pending.has_short_beginning
    pending.show_beginnings()
    pending.add(LogStream.PTY, SECRET[2:])
    pending.finish()
    assert b"".join(chunk.data for chunk in pending.take(100)) == b"co" + b"*" * 11


def test_context_that_is_not_there_any_more_is_no_gap() -> None:
    pending = new_pending(Mask(SECRET), offsets={LogStream.STDOUT: 50}, context={LogStream.STDOUT: 12})
    pending.add_gap(LogStream.STDOUT, "too old", to_offset=46)
    pending.add(LogStream.STDOUT, b"ontext and what follows")
    pending.add_gap(LogStream.STDOUT, "lost")
    [text, gap] = pending.take(100)
    assert (text.offset, text.data) == (50, b"xt and what follows")
    assert gap.gap is not None
    assert gap.gap.from_offset == 69


def test_a_gap_in_one_stream_leaves_what_waits_of_another() -> None:
    pending = new_pending(Mask(SECRET))
    pending.add(LogStream.STDOUT, SECRET[:6])
    pending.add(LogStream.STDERR, SECRET[:6])
    pending.add_gap(LogStream.STDERR, "lost")
    pending.add(LogStream.STDOUT, SECRET[6:])
    chunks = pending.take(100)
    assert whole(chunks, LogStream.STDOUT) == b"*" * len(SECRET)
    assert whole(chunks, LogStream.STDERR) == SECRET[:6]
