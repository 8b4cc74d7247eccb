"""How the host and the programs inside a sandbox write messages: a row of byte fields, each with its length.

Names of files are bytes, not text, so nothing here decodes. Used on both sides.
"""

from __future__ import annotations

MAX_MESSAGE_BYTES = 65_536
"""No message is longer: a path, its metadata and its numbers fit several times."""

MAX_FIELDS = 1_024

_LENGTH_BYTES = 4


class MalformedMessageError(ValueError):
    """The other side sent something that is not a row of fields."""


def pack(*fields: bytes, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """One message of these fields; raises MalformedMessageError where it would be longer than the limit."""
    message = b"".join([len(field).to_bytes(_LENGTH_BYTES, "big") + field for field in fields])
    if len(message) > limit:
        raise MalformedMessageError(f"a message of {len(message)} bytes is longer than {limit}")
    return message


def unpack(message: bytes) -> list[bytes]:
    """The fields of one message, every length checked: the other side is not trusted."""
    fields: list[bytes] = []
    position, end = 0, len(message)
    while position < end:
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(message[position:start], "big")
        if start > end or position > end or len(fields) == MAX_FIELDS:
            raise MalformedMessageError("a field's length leads out of its message")
        fields.append(message[start:position])
    return fields
