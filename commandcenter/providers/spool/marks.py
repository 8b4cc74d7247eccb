"""The marks in a stream itself that say where the command's output begins and ends."""

import re
import signal
from dataclasses import dataclass, field

from commandcenter.providers.endings import Ended

# No UTF-8 text has this byte, so that what comes is seldom held back because a mark might begin with it.
_FIRST = b"\xff\x1e"
_LAST = b"\x1e"
_LONGEST_WORD = 32
_WORD = re.compile(r"(?P<kind>exit|signal|timeout)(?: (?P<number>\d{1,3}))?$")


@dataclass
class MarkedStream:
    """Takes a stream in any pieces, and gives the command's own bytes of it, in order.

    `begun`: whether the command's output has begun; before it nothing is given. `end`: how the command ended,
    once that was read; after it nothing is given.
    """

    tag: str
    begun: bool
    end: Ended | None = None
    _held: bytes = field(default=b"", repr=False)

    def take(self, piece: bytes) -> bytes:
        """The command's bytes in `piece`; the beginning of what may be a mark waits for the next piece."""
        data, self._held = self._held + piece, b""
        if not self.begun:
            data = self._after_begin(data)
        if self.end is not None or not self.begun:
            return b""
        before, mark, rest = data.partition(self._mark)
        if not mark:
            return self._hold_back(data)
        word, last, _ = rest.partition(_LAST)
        if last:
            self.end = end_of(word.decode("latin-1"))
            return before if self.end is not None else data
        if len(rest) > _LONGEST_WORD:
            return data
        self._held = mark + rest
        return before

    @property
    def _mark(self) -> bytes:
        return _FIRST + self.tag.encode() + b" "

    def _after_begin(self, data: bytes) -> bytes:
        begin = self._mark + b"begin" + _LAST
        _, mark, rest = data.partition(begin)
        if mark:
            self.begun = True
            return rest
        self._held = data[-len(begin) :]
        return b""

    def _hold_back(self, data: bytes) -> bytes:
        """`data` without the longest end of it with which a mark may begin."""
        for length in range(min(len(self._mark), len(data)), 0, -1):
            if data.endswith(self._mark[:length]):
                self._held = data[-length:]
                return data[:-length]
        return data


def end_of(word: str) -> Ended | None:
    """The end that the program in the sandbox wrote down; None for anything else."""
    match = _WORD.match(word)
    if match is None:
        return None
    number = int(match["number"] or 0)
    match match["kind"]:
        case "exit":
            return Ended(number)
        case "signal":
            return Ended(None, signal=_signal_name(number))
        case _:
            return Ended(None, error="The command was ended at its deadline.", timed_out=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
