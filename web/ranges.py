"""`Range`: which part of a file a request asks for (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `first` to `last`, both included; to the end without `last`.

    Without `first` it is the last `last` bytes.
    """

    first: int | None
    last: int | None


def parse_range(header: str | None) -> ByteRange | None:
    """The one range that a header asks for; None where the whole is to be sent.

    So it is, as the RFC allows, for several ranges, other units, and what is no range.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None:
        return None
    if match[3] is not None:
        return ByteRange(None, int(match[3]))
    first, last = int(match[1]), int(match[2]) if match[2] else None
    if last is not None and last < first:
        return None
    return ByteRange(first, last)
