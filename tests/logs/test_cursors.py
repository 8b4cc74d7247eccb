"""Cursors round trip, and nothing else passes for one."""

import base64
from contextlib import suppress
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandcenter.errors import InvalidError
from commandcenter.logs.cursors import (
    SandboxPosition,
    decode_execution_cursor,
    decode_sandbox_cursor,
    encode_execution_cursor,
    encode_sandbox_cursor,
)

SEQUENCES = st.integers(0, 2**53)
ID = UUID(int=7)


@given(st.uuids(), SEQUENCES)
def test_an_executions_cursor_round_trips(execution_id: UUID, sequence: int) -> None:
    cursor = encode_execution_cursor(execution_id, sequence)
    assert decode_execution_cursor(cursor, execution_id) == sequence
    assert cursor.isascii()


@given(st.uuids(), st.sets(st.integers(1, 60)), st.dictionaries(st.integers(100, 160), SEQUENCES))
def test_a_sandboxs_cursor_round_trips(sandbox_id: UUID, complete: set[int], partial: dict[int, int]) -> None:
    position = SandboxPosition(partial=dict(partial))
    for number in complete:
        position.finish(number)
    decoded = decode_sandbox_cursor(encode_sandbox_cursor(sandbox_id, position), sandbox_id)
    assert decoded == position
    assert {number for number in range(200) if decoded.is_complete(number)} == complete
    assert all(decoded.sequence(number) == partial.get(number, 0) for number in range(200))


@given(st.sets(st.integers(1, 30)))
def test_what_is_complete_is_as_few_ranges_as_can_be(complete: set[int]) -> None:
    position = SandboxPosition()
    for number in complete:
        position.finish(number)
    assert all(last + 1 < following for (_, last), (following, _) in pairwise(position.complete))


@given(st.uuids(), st.uuids(), SEQUENCES)
def test_a_cursor_of_another_subject_is_refused(one: UUID, other: UUID, sequence: int) -> None:
    if one != other:
        with pytest.raises(InvalidError):
            decode_execution_cursor(encode_execution_cursor(one, sequence), other)
        with pytest.raises(InvalidError):
            decode_sandbox_cursor(encode_sandbox_cursor(one, SandboxPosition()), other)
    with pytest.raises(InvalidError):
        decode_sandbox_cursor(encode_execution_cursor(one, sequence), one)


@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
        st.from_regex(rf"[es]:({ID.hex}|7)[:0-9,=-]*", fullmatch=True).map(
            lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        ),
    )
)
def test_garbage_is_refused_or_means_a_position(cursor: str) -> None:
    for decode in (decode_execution_cursor, decode_sandbox_cursor):
        with suppress(InvalidError):
            decode(cursor, ID)
