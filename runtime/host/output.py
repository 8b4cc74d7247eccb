"""One output stream of a process: read from its pipe into a ring, taken from there by whoever is attached.

Reading pauses while those who are attached have not taken what was read, and while the sandbox has had as
much as its output rate allows: the process waits, nothing grows.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

from runtime.host.output_rate import OutputRate
from runtime.host.ring import Ring

READ_AT_ONCE = 1 << 19
USUAL_PIPE = 1 << 16
WIDE_PIPE = READ_AT_ONCE
LEFTOVER_INTERVAL = 0.1
LEFTOVER_AT_ONCE = 1 << 20


class Cursor:
    """How far one taker has come in a stream."""

    def __init__(self, stream: "OutputStream", offset: int) -> None:
        self.stream = stream
        self.offset = offset

    def take(self, limit: int) -> memoryview:
        """The next bytes, empty where there are none yet; valid until the event loop runs again."""
        self.offset = max(self.offset, self.stream.ring.start)
        part = self.stream.ring.view(self.offset, limit)
        self.offset += len(part)
        return part


class OutputStream:
    """A pipe's or terminal's read end, its ring, and the cursors of those who take from it."""

    def __init__(
        self,
        name: str,
        descriptor: int,
        ring: Ring,
        *,
        drop_unattended: bool,
        until_acknowledged: bool = False,
        rate: OutputRate,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.ring = ring
        self.drained = False
        self._descriptor = descriptor
        self._drop_unattended = drop_unattended and not until_acknowledged
        # After a restart nobody knows any more what was: the oldest byte that is here may still be wanted.
        self._acknowledged = ring.start if until_acknowledged else None
        self._rate = rate
        self._rate_timer: asyncio.TimerHandle | None = None
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._cursors: set[Cursor] = set()
        self._unattended_from = ring.end
        self._attended_before = False
        self._reading = False
        self._is_wide = False
        self._process_ended = False
        os.set_blocking(descriptor, False)
        self.resume()

    def attach(self, offset: int | None = None) -> Cursor:
        """A cursor at an offset that is still kept, or at what comes next."""
        begin = self.ring.end if offset is None else min(max(offset, self.ring.start), self.ring.end)
        cursor = Cursor(self, begin)
        self._cursors.add(cursor)
        self._attended_before = True
        self.resume()
        return cursor

    def detach(self, cursor: Cursor) -> None:
        """Forget a cursor; the last to go marks from where on nobody has taken."""
        self._cursors.discard(cursor)
        if not self._cursors:
            self._unattended_from = cursor.offset
        self.resume()

    def acknowledge(self, offset: int) -> None:
        """The bytes before `offset` are safe: their place may be taken by others."""
        if self._acknowledged is not None:
            self._acknowledged = max(self._acknowledged, min(offset, self.ring.end))
            self.resume()

    def resume(self) -> None:
        """Read on, if there is room: called when something was taken."""
        if not self._reading and not self.drained and self._rate_timer is None and self._room() > 0:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._read)

    def process_ended(self) -> None:
        """The process has ended: the stream ends with what lies in the pipe now.

        Not with the pipe's own end, which a background child may hold off for hours.
        """
        self._process_ended = True
        while not self.drained and self._room() > 0:
            if not self._read():
                break

    def close(self) -> None:
        """Stop reading and give everything back."""
        self._stop_reading()
        if not self.drained or self._descriptor >= 0:
            self._close_descriptor()
        self.drained = True
        self.ring.close()

    def _room(self) -> int:
        """How much may be read: half of the ring is for what was not taken, the rest is for replay."""
        if self._acknowledged is not None:
            taken = self._acknowledged
        elif self._cursors:
            taken = min(cursor.offset for cursor in self._cursors)
        elif self._drop_unattended and self._attended_before:
            return self.ring.capacity
        else:
            taken = self._unattended_from
        # What an ended process left in its pipe always fits, so that its end can be told.
        window = self.ring.capacity if self._process_ended else self.ring.capacity // 2
        return window - (self.ring.end - taken)

    def _read(self) -> bool:
        """Read once; whether there may be more."""
        room = self._room()
        if room <= 0:
            self._stop_reading()
            return False
        at_once = min(room, READ_AT_ONCE)
        if not self._process_ended:
            at_once = self._rate.room(at_once)
            if not at_once:
                self._wait_for_the_rate()
                return False
        try:
            count = self.ring.fill(self._descriptor, at_once)
        except BlockingIOError:
            if self._process_ended:
                self._finish(leftover=True)
            return False
        except OSError:  # a terminal whose last process ended
            count = 0
        self._rate.spend(count)
        if count == 0:
            self._finish(leftover=False)
        elif count >= USUAL_PIPE and not self._is_wide:
            self._widen()
        self._changed()
        return count > 0

    def _widen(self) -> None:
        """A pipe that was found full gets a larger one: large pieces cost those who take them less.

        What it holds when its process ends has to fit into the half of the ring that is kept free for it.
        """
        self._is_wide = True
        fitting = 1 << (self.ring.capacity // 2).bit_length() - 1
        with contextlib.suppress(OSError):
            # A terminal has none; and it is refused to a user whose pipes hold much already.
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, min(WIDE_PIPE, fitting))

    def _wait_for_the_rate(self) -> None:
        self._stop_reading()
        self._rate_timer = self._loop.call_later(self._rate.wait_seconds(), self._rate_allows)

    def _rate_allows(self) -> None:
        self._rate_timer = None
        self.resume()

    def _finish(self, *, leftover: bool) -> None:
        self._stop_reading()
        self.drained = True
        if leftover:
            # A background child still writes: it must neither wait for ever nor get SIGPIPE.
            self._loop.call_later(LEFTOVER_INTERVAL, self._discard)
        else:
            self._close_descriptor()
        self._changed()

    def _discard(self) -> None:
        if self._descriptor < 0:
            return
        try:
            if not os.read(self._descriptor, LEFTOVER_AT_ONCE):
                self._close_descriptor()
                return
        except BlockingIOError:
            pass
        except OSError:
            self._close_descriptor()
            return
        self._loop.call_later(LEFTOVER_INTERVAL, self._discard)

    def _stop_reading(self) -> None:
        if self._rate_timer is not None:
            self._rate_timer.cancel()
            self._rate_timer = None
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
