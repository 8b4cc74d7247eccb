"""Cutting bytes at the borders of UTF-8 characters."""

import codecs

# A character of which bytes are missing has at most this many.
_LONGEST_BEGINNING = 3
_Decoder = codecs.getincrementaldecoder("utf-8")


def incomplete_tail(data: bytes | bytearray) -> int:
    """How many bytes at the end of `data` begin a UTF-8 character that is not whole yet (0 to 3).

    Bytes that cannot become one, such as those of binary output, count as whole.
    """
    decoder = _Decoder(errors="replace")
    decoder.decode(bytes(data[-_LONGEST_BEGINNING:]))
    beginning, _ = decoder.getstate()
    # Python's decoder waits for the rest of a surrogate, of which UTF-8 has none.
    is_surrogate = beginning[:1] == b"\xed" and beginning[1:2] >= b"\xa0"
    return 0 if is_surrogate else len(beginning)
