"""Finding the forms of secrets in bytes, and what at their end may yet become one."""

from collections import defaultdict
from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick, Implementation

from commandcenter.secrets.forms import blocks_of

# Searched for at once; what is longer is compared where its beginning was found. So the search stays small.
_ANCHOR_BYTES = 16
# The automaton that is twice as fast takes about a kilobyte for each byte of the anchors.
_FAST_BYTES = 16 * 1024


class SecretForms:
    """All forms of some values, ready to be found. It holds the values: never log or show it."""

    __slots__ = ("_anchored", "_beginnings", "_search", "longest")

    def __init__(self, values: Iterable[bytes]) -> None:
        anchored: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for block in sorted({block for value in values for block in blocks_of(value)}):
            anchored[block[:_ANCHOR_BYTES]].append(block)
        self._anchored = list(anchored.values())
        fast = sum(map(len, anchored)) <= _FAST_BYTES
        self._search = BytesAhoCorasick(
            anchored, implementation=Implementation.DFA if fast else Implementation.ContiguousNFA
        )
        self._beginnings = frozenset(
            anchor[:length] for anchor in anchored for length in range(1, len(anchor))
        )
        self.longest = max(len(block) for blocks in self._anchored for block in blocks)

    def scan(self, data: bytes) -> tuple[list[tuple[int, int]], int]:
        """The ranges of `data` that are forms of secrets, and where an unfinished one may begin.

        The latter is the length of `data` where nothing at its end begins a form.
        """
        ranges = []
        undecided = len(data)
        for index, start, _ in self._search.find_matches_as_indexes(data, overlapping=True):
            for block in self._anchored[index]:
                if data.startswith(block, start):
                    ranges.append((start, start + len(block)))
                elif start < undecided and block.startswith(data[start : start + len(block)]):
                    undecided = start
        for start in range(max(0, len(data) - _ANCHOR_BYTES + 1), undecided):
            if data[start:] in self._beginnings:
                return ranges, start
        return ranges, undecided

    def cover(self, data: bytes) -> bytes:
        """`data` with every form of a secret replaced by as many asterisks."""
        return covered(data, self.scan(data)[0])


def covered(data: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    """`data` with asterisks in the ranges."""
    hidden = bytearray(data)
    for start, end in ranges:
        hidden[start:end] = b"*" * (end - start)
    return bytes(hidden)
