"""The marks in a stream itself that say where the command's output begins and ends."""

import re
import signal
from dataclasses import dataclass, field
from functools import cached_property

from commandcenter.providers.endings import Ended

# No UTF-8 text has this byte, so that what comes is seldom held back because a mark might begin with it.
_FIRST = b"\xff"
_BEFORE_TAG, _LAST = b"\xff\x1e", b"\x1e"
_END = re.compile(r"(?P<kind>exit|signal) (?P<number>\d{1,3})|timeout")
_ANY_END = rb"(?:exit|signal) \d{1,3}|timeout"
_WORDS = (b"exit ", b"signal ", b"timeout")
_UNFINISHED_END = re.compile(rb"(?:exit|signal) \d{0,3}|timeout")


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
        if self.end is not None:
            return b""
        data, self._held = self._held + piece, b""
        if not self.begun:
            data = self._after_begin(data)
        found = self._end_mark.search(data)
        if found:
            self.end = end_of(found["end"].decode("ascii"))
            return data[: found.start()]
        return self._hold_back(data)

    @property
    def _mark(self) -> bytes:
        return _BEFORE_TAG + self.tag.encode() + b" "

    @cached_property
    def _end_mark(self) -> re.Pattern[bytes]:
        return re.compile(re.escape(self._mark) + b"(?P<end>" + _ANY_END + b")" + _LAST)

    def _after_begin(self, data: bytes) -> bytes:
        begin = self._mark + b"begin" + _LAST
        _, mark, rest = data.partition(begin)
        if mark:
            self.begun = True
            return rest
        self._held = data[-len(begin) :]
        return b""

    def _hold_back(self, data: bytes) -> bytes:
        """`data` without the end of it with which a mark may begin."""
        place = data.rfind(_FIRST)
        if place < 0 or not self._may_become_a_mark(data[place:]):
            return data
        self._held = data[place:]
        return data[:place]

    def _may_become_a_mark(self, beginning: bytes) -> bool:
        if not beginning.startswith(self._mark):
            return self._mark.startswith(beginning)
        word = beginning.removeprefix(self._mark)
        return any(known.startswith(word) for known in _WORDS) or bool(_UNFINISHED_END.fullmatch(word))


def end_of(word: str) -> Ended | None:
    """The end that the program in the sandbox wrote down; None for anything else."""
    match = _END.fullmatch(word)
    if match is None:
        return None
    if match["kind"] is None:
        return Ended(None, error="The command was ended at its deadline.", timed_out=True)
    number = int(match["number"])
    return Ended(number) if match["kind"] == "exit" else Ended(None, signal=_signal_name(number))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
