"""Whatever is written, however it is split: no secret comes out, and everything else does, in its place."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandcenter.logs.masking import SHORT_BEGINNING_BYTES, StreamMask
from commandcenter.secrets.forms import LARGEST_BLOCK_BYTES, blocks_of
from commandcenter.secrets.matching import SecretForms

# Few different characters, so that secrets overlap, begin alike, repeat, and occur by chance.
LETTERS = st.text(alphabet="ab", min_size=8, max_size=14)
VALUES = st.one_of(
    LETTERS,
    LETTERS.map(lambda text: text * 2),
    st.text(alphabet="ab.*[\\ \n'\"é✓😀%/+", min_size=8, max_size=24).filter(
        lambda text: len(text.encode().strip()) >= 8
    ),
    st.just("x" * 3000),
    st.just("-----BEGIN KEY-----\nabcdefgh\nijk\n-----END KEY-----\n"),
)
SECRETS = st.lists(VALUES, min_size=1, max_size=4).map(
    lambda values: sorted({value.encode() for value in values})
)
FORMS = st.sampled_from(
    [
        lambda value: value,
        lambda value: value[: len(value) * 2 // 3],
        lambda value: value[len(value) // 3 :],
        lambda value: b64encode(b"u" + value + b"v"),
        lambda value: quote(value).encode(),
    ]
)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Secrets, and output with some of them, whole and in part, among other bytes."""
    values = draw(SECRETS)
    piece = st.one_of(
        st.binary(max_size=6),
        st.text(alphabet="ab", max_size=12).map(str.encode),
        st.builds(lambda value, form: form(value), st.sampled_from(values), FORMS),
    )
    return values, b"".join(draw(st.lists(piece, max_size=12)))


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [*pieces, data[start:]]


def masked_in_pieces(forms: SecretForms, pieces: list[bytes]) -> bytes:
    mask = StreamMask()
    return b"".join(mask.add(forms, piece) for piece in pieces) + mask.show()


SIZES = st.lists(st.integers(0, 20), max_size=60)


@given(outputs(), SIZES)
def test_any_split_is_masked_like_the_whole(output: tuple[list[bytes], bytes], sizes: list[int]) -> None:
    values, data = output
    forms = SecretForms(values)
    whole = forms.cover(data)
    assert masked_in_pieces(forms, split(data, sizes)) == whole
    assert masked_in_pieces(forms, split(data[:300], [1] * 300)) == forms.cover(data[:300])


@given(outputs())
def test_what_is_masked_has_its_length_and_shows_no_secret(output: tuple[list[bytes], bytes]) -> None:
    values, data = output
    whole = SecretForms(values).cover(data)
    blocks = {block for value in values for block in blocks_of(value)}
    # By the plainest way there is: every occurrence of every form.
    hidden = {
        place
        for block in blocks
        for start in range(len(data) - len(block) + 1)
        if data[start : start + len(block)] == block
        for place in range(start, start + len(block))
    }
    expected = bytes(42 if place in hidden else byte for place, byte in enumerate(data))
    assert whole == expected
    assert not any(block in whole and set(block) != {42} for block in blocks)


@given(outputs(), SIZES, st.integers(0, 200))
def test_whoever_goes_on_at_any_place_masks_the_same(
    output: tuple[list[bytes], bytes], sizes: list[int], place: int
) -> None:
    values, data = output
    forms = SecretForms(values)
    place = min(place, len(data))
    context = min(place, forms.longest - 1)
    mask = StreamMask(context=context)
    pieces = split(data[place - context :], sizes)
    assert b"".join(mask.add(forms, piece) for piece in pieces) + mask.show() == forms.cover(data)[place:]


@given(outputs(), SIZES)
def test_no_more_than_a_form_waits_and_only_what_may_begin_one(
    output: tuple[list[bytes], bytes], sizes: list[int]
) -> None:
    values, data = output
    forms = SecretForms(values)
    mask = StreamMask()
    added = out = 0
    for piece in split(data, sizes):
        added += len(piece)
        out += len(mask.add(forms, piece))
        assert added - out < forms.longest <= LARGEST_BLOCK_BYTES
        waiting = data[out:added]
        assert not waiting or any(block.startswith(waiting) for value in values for block in blocks_of(value))


@given(outputs(), SIZES)
def test_beginnings_that_were_shown_are_all_that_is_seen_of_a_secret(
    output: tuple[list[bytes], bytes], sizes: list[int]
) -> None:
    values, data = output
    forms = SecretForms(values)
    whole = forms.cover(data)
    mask = StreamMask()
    out = b""
    for piece in split(data, sizes):
        out += mask.add(forms, piece)
        if mask.has_short_beginning:
            out += mask.show()
    out += mask.show()
    assert len(out) == len(data)
    seen = [place for place in range(len(data)) if out[place] != whole[place]]
    for place in seen:
        # Each such byte stands within the first bytes of a form.
        assert any(
            data.startswith(block, start)
            for start in range(max(0, place - SHORT_BEGINNING_BYTES + 1), place + 1)
            for value in values
            for block in blocks_of(value)
        )


TOKEN = "sk-Ä\"live/4f+Zq9?>\\&x't0"
PLAIN = TOKEN.encode()


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        (TOKEN, 0),
        (PLAIN.hex(), 0),
        (PLAIN.hex().upper(), 0),
        (quote(TOKEN), 0),
        (quote(TOKEN, safe=""), 0),
        (quote_plus(TOKEN), 0),
        (re.sub("%..", lambda escape: escape[0].lower(), quote(TOKEN)), 0),
        (json.dumps(TOKEN)[1:-1], 0),
        (json.dumps({"key": TOKEN}, ensure_ascii=False), len('{"key": ""}')),
        (repr([TOKEN]), len("['']")),
        (TOKEN.replace("'", "'\\''"), 0),
        (html.escape(TOKEN), 0),
        (b64encode(PLAIN).decode(), 0),
        # Characters that the secret's first or last bits share with its neighbours are visible.
        (b64encode(b"u:" + PLAIN).decode(), 3),
        (b64encode(b"user:" + PLAIN + b"\n").decode(), 7),
        (urlsafe_b64encode(b"us:" + PLAIN + b" and more").decode().rstrip("="), 4 + 13),
    ],
)
def test_each_form_in_which_programs_write_a_secret_is_masked(text: str, visible: int) -> None:
    shown = f"before {text} after"
    masked = SecretForms([PLAIN]).cover(shown.encode())
    assert len(masked) == len(shown.encode())
    assert len(re.sub(rb"[*=]", b"", masked)) == len("before  after") + visible
