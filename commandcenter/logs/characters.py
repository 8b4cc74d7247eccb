"""Cutting bytes at the borders of UTF-8 characters."""

_LONGEST_CHARACTER = 4
_FIRST_CONTINUATION, _LAST_CONTINUATION = 0x80, 0xBF


def incomplete_tail(data: bytes | bytearray | memoryview) -> int:
    """How many bytes at the end of `data` begin a UTF-8 character that is not whole yet (0 to 3).

    Bytes that cannot become one, such as those of binary output, count as whole.
    """
    for back in range(1, min(_LONGEST_CHARACTER, len(data) + 1)):
        byte = data[-back]
        if _FIRST_CONTINUATION <= byte <= _LAST_CONTINUATION:
            continue
        return back if back < _character_length(byte) else 0
    return 0


def _character_length(first: int) -> int:
    """The length that a character's first byte announces (RFC 3629); 1 where it announces none."""
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    if 0xF0 <= first <= 0xF4:
        return 4
    return 1
