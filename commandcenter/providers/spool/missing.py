"""Which bytes of a stream are not kept, by the pieces that are there: pure."""

from collections.abc import Mapping


def next_kept(pieces: Mapping[int, int], piece_bytes: int, offset: int) -> int:
    """The first offset, from `offset` on, that is kept or may still come.

    `pieces` are sizes by number. Old pieces are removed; one that is followed by another and shorter than
    `piece_bytes` was cut by a full disk.
    """
    number, inside = divmod(offset, piece_bytes)
    later = [other for other in pieces if other > number]
    if not later or inside < pieces.get(number, 0):
        return offset
    return min(later) * piece_bytes
