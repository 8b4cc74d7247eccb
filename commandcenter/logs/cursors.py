"""Cursors: where a reader of output is, so that it gets exactly what follows, from any process.

A cursor names what it has read, by numbers that follow the order of commits: for an execution the sequence
of its last chunk; for a sandbox a vector, which executions were read to their end and how far the others.
Cursors are opaque to clients.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from commandcenter.errors import InvalidError

_LONGEST = 65_536


def encode_execution_cursor(execution_id: UUID, sequence: int) -> str:
    """The cursor after the `sequence`-th chunk of an execution."""
    return _encode(f"e:{execution_id.hex}:{sequence}")


def decode_execution_cursor(cursor: str | None, execution_id: UUID) -> int:
    """The sequence that a cursor stands after; 0, the beginning, for none."""
    if cursor is None:
        return 0
    match = re.fullmatch(r"e:([0-9a-f]{32}):(\d{1,18})", _decode(cursor))
    if match is None:
        raise _not_a_cursor()
    if match[1] != execution_id.hex:
        raise InvalidError("This cursor belongs to another execution.", ("after",))
    return int(match[2])


@dataclass(slots=True)
class SandboxPosition:
    """How far a sandbox's output was read: execution numbers read to their end, and the others' sequences."""

    complete: list[tuple[int, int]] = field(default_factory=list)
    partial: dict[int, int] = field(default_factory=dict)

    def sequence(self, number: int) -> int:
        """The last chunk read of an execution."""
        return self.partial.get(number, 0)

    def is_complete(self, number: int) -> bool:
        """Whether an execution was read to its end."""
        return any(first <= number <= last for first, last in self.complete)

    def finish(self, number: int) -> None:
        """Note that an execution was read to its end."""
        self.partial.pop(number, None)
        self.complete = _merged([*self.complete, (number, number)])

    def as_multirange(self) -> str:
        """The complete numbers as a PostgreSQL `int8multirange`."""
        return "{" + ",".join(f"[{first},{last}]" for first, last in self.complete) + "}"


def encode_sandbox_cursor(sandbox_id: UUID, position: SandboxPosition) -> str:
    """The cursor of a position in a sandbox's output."""
    complete = ",".join(f"{first}-{last}" for first, last in position.complete)
    partial = ",".join(f"{number}={sequence}" for number, sequence in sorted(position.partial.items()))
    return _encode(f"s:{sandbox_id.hex}:{complete}:{partial}")


def decode_sandbox_cursor(cursor: str | None, sandbox_id: UUID) -> SandboxPosition:
    """The position that a cursor stands for; the beginning for none."""
    if cursor is None:
        return SandboxPosition()
    match = re.fullmatch(r"s:([0-9a-f]{32}):([\d,-]*):([\d,=]*)", _decode(cursor))
    if match is None:
        raise _not_a_cursor()
    if match[1] != sandbox_id.hex:
        raise InvalidError("This cursor belongs to another sandbox.", ("after",))
    return SandboxPosition(complete=_merged(_pairs(match[2], "-")), partial=dict(_pairs(match[3], "=")))


def _pairs(text: str, separator: str) -> list[tuple[int, int]]:
    pairs = []
    for item in filter(None, text.split(",")):
        match = re.fullmatch(rf"(\d{{1,18}}){separator}(\d{{1,18}})", item)
        if match is None or (separator == "-" and int(match[1]) > int(match[2])):
            raise _not_a_cursor()
        pairs.append((int(match[1]), int(match[2])))
    return pairs


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    if len(cursor) > _LONGEST:
        raise _not_a_cursor()
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except ValueError as error:
        raise _not_a_cursor() from error


def _not_a_cursor() -> InvalidError:
    return InvalidError("This is no log cursor; use one that came with a chunk or a batch.", ("after",))
