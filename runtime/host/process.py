"""A process in a sandbox, as the host holds it: its output streams, its input, and how it ended."""

import asyncio
import fcntl
import os
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from runtime.host.attachment import Attachment
from runtime.host.ending import Ending
from runtime.host.output import OutputStream
from runtime.host.ring import Ring

STREAM_NAMES = ("stdout", "stderr", "pty")


EndReason = Literal["OUT_OF_MEMORY", "OUT_OF_DISK"]


class InputClosedError(Exception):
    """The process takes no input of this kind, or no longer."""


@dataclass(frozen=True)
class ProcessRequest:
    """What to start; kept for the list of processes."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    directory: str | None = None
    tag: str | None = None
    stdin: bool = True
    terminal: tuple[int, int] | None = None
    """Rows and columns of a terminal, where one is asked for."""
    deadline: float | None = None
    """When it must have ended, in seconds of the wall clock's epoch."""
    keeps_output: bool = True
    """Whether it may have to wait until somebody takes its output."""
    until_acknowledged: bool = False
    """Whether its output and its end are kept until whoever takes them says that they are safe."""
    user: str = ""
    """Whose process it is; the sandbox's default user where nobody is named."""


class Process:
    """A started process; `key` is the name of its spawn request, by which the supervisor tells its end."""

    def __init__(self, key: str, request: ProcessRequest) -> None:
        self.key = key
        self.request = request
        self.pid = 0
        self.streams: list[OutputStream] = []
        self.input: int | None = None
        self.input_kept = False
        """Whether the supervisor holds a copy of the input's write end."""
        self.terminal: int | None = None
        self.terminal_ring: Ring | None = None
        self.ending: Ending | None = None
        self.card = -1
        """A memory file that describes it, for a runtime that comes after us."""
        self.deadline = request.deadline
        self.end_reason: EndReason | None = None
        """Which of the sandbox's limits ended it."""
        self.on_end: Callable[[Process], None] = lambda _: None
        self.on_deadline: Callable[[Process], None] = lambda _: None
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._wait_status: int | None = None
        self._timed_out = False
        self._attachments: set[Attachment] = set()
        self._writing = asyncio.Lock()
        self._writer: asyncio.Future[None] | None = None
        self._lost = False

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return (
            self._wait_status is not None
            and os.WIFSIGNALED(self._wait_status)
            and (os.WTERMSIG(self._wait_status) == signal.SIGKILL)
        )

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its time was over."""
        return self.ending is not None and self._timed_out

    @property
    def attended(self) -> bool:
        """Whether anybody takes its output."""
        return bool(self._attachments)

    def attach(self, offsets: dict[str, int] | None = None) -> Attachment:
        """Take output from now on, or from offsets by stream name."""
        begin = offsets or {}
        attachment = Attachment([stream.attach(begin.get(stream.name)) for stream in self.streams])
        self._attachments.add(attachment)
        if self._lost:
            attachment.abort()
        return attachment

    def detach(self, attachment: Attachment) -> None:
        """Let a taker go."""
        self._attachments.discard(attachment)
        attachment.release()

    def changed(self) -> None:
        """Something came, or a stream ended: wake those who take, and see whether all is told."""
        if (
            self._started
            and self._wait_status is not None
            and self.ending is None
            and all(stream.drained for stream in self.streams)
        ):
            self.ending = Ending.of(self._wait_status)
            self.close_input()
            self._clear_timer()
            self.on_end(self)
        for attachment in self._attachments:
            attachment.wake()

    def started(self, pid: int) -> None:
        """It runs, and its streams are there; the news of its end may have come before."""
        self.pid = pid
        self._started = True
        self._set_timer()
        if self._wait_status is not None:
            self.exited(self._wait_status)

    def exited(self, wait_status: int) -> None:
        """The supervisor says that it ended; its end is told once its pipes are drained."""
        self._wait_status = wait_status
        self._timed_out = self.killed and self.deadline is not None and time.time() >= self.deadline
        if not self._started:
            return
        for stream in self.streams:
            stream.process_ended()
        self.changed()

    def lose(self) -> None:
        """The sandbox is gone: nothing more will come."""
        self._lost = True
        self._clear_timer()
        self.close_input()
        self.abort_attachments()

    def pause(self) -> None:
        """Its sandbox is paused: time stands still for it, and its takers must come again."""
        self._clear_timer()
        self.abort_attachments()

    def resume(self, paused_seconds: float) -> None:
        """Time goes on."""
        if self.deadline is not None:
            self.deadline += paused_seconds
        self._set_timer()

    def abort_attachments(self) -> None:
        """Tell the takers that they will see no end here."""
        for attachment in self._attachments:
            attachment.abort()

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        """Note how much of each stream is safe with those who take it."""
        for stream in self.streams:
            stream.acknowledge(offsets.get(stream.name, 0))

    async def write(self, data: bytes, *, terminal: bool) -> None:
        """Write to its input or terminal, waiting while it doesn't read."""
        descriptor = self.terminal if terminal else self.input
        if descriptor is None:
            kind = "tty not assigned to process" if terminal else "stdin not enabled or closed"
            raise InputClosedError(kind)
        rest = memoryview(data)
        async with self._writing:
            while rest:
                if (self.terminal if terminal else self.input) != descriptor:
                    raise InputClosedError("the process has ended")
                try:
                    rest = rest[os.write(descriptor, rest) :]
                except BlockingIOError:
                    await self._writable(descriptor)
                except OSError as error:
                    raise InputClosedError(os.strerror(error.errno or 0).lower()) from error

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; programs inside get SIGWINCH."""
        if self.terminal is None:
            raise InputClosedError("tty not assigned to process")
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close_input(self) -> None:
        """Close our ends of what it reads."""
        for descriptor in (self.input, self.terminal):
            if descriptor is not None:
                asyncio.get_running_loop().remove_writer(descriptor)
                os.close(descriptor)
        self.input = self.terminal = None
        self._wake_writer()

    def close(self) -> None:
        """Give back what was kept of it."""
        self._clear_timer()
        self.close_input()
        if self.card >= 0:
            os.close(self.card)
            self.card = -1
        for stream in self.streams:
            stream.close()
        if self.terminal_ring is not None and not self.streams:
            self.terminal_ring.close()

    def _set_timer(self) -> None:
        if self.deadline is not None and self.ending is None:
            seconds = max(0.0, self.deadline - time.time())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        # Who wants every byte gets what is still to come of it, and then hears that its time was over.
        for attachment in () if self.request.until_acknowledged else self._attachments:
            attachment.expire()
        self.on_deadline(self)

    async def _writable(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        self._writer = loop.create_future()
        loop.add_writer(descriptor, self._wake_writer)
        try:
            await self._writer
        finally:
            self._writer = None
            if descriptor in (self.input, self.terminal):
                loop.remove_writer(descriptor)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
