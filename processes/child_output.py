"""What a child writes: passed on, and the last lines kept for when it fails."""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import Protocol

LAST_LINES = 30
_READ_BYTES = 65_536
_LAST_READS = 64
_LONGEST_LINE_BYTES = 2_000


class Output(Protocol):
    """Where a child's output goes."""

    def write(self, data: bytes) -> None:
        """Take some bytes, not necessarily whole lines."""


class OutputPipe:
    """A pipe from one run of a child.

    asyncio's own pipes would count a child as running for as long as its children hold the pipe.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._unfinished_line = b""
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        self._is_open = True
        asyncio.get_running_loop().add_reader(self._reading, self._read)

    @property
    def last_lines(self) -> Sequence[str]:
        """The end of the output."""
        return tuple(self._last_lines)

    def handed_over(self) -> None:
        """The child has its end of the pipe: drop ours."""
        os.close(self.writing)

    def close(self) -> None:
        """Take what is in the pipe, and no more: what the child's own children may yet say is lost."""
        for _ in range(_LAST_READS):
            if not (self._is_open and self._read()):
                break
        self._drop()

    def _read(self) -> bool:
        """Read once; whether there may be more."""
        try:
            data = os.read(self._reading, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._drop()
            return False
        self._output.write(data)
        *lines, unfinished = (self._unfinished_line + data).split(b"\n")
        self._unfinished_line = unfinished[-_LONGEST_LINE_BYTES:]
        self._last_lines.extend(_text(line) for line in lines)
        return True

    def _drop(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        if self._unfinished_line:
            self._last_lines.append(_text(self._unfinished_line))


def _text(line: bytes) -> str:
    return line[:_LONGEST_LINE_BYTES].decode(errors="replace")
