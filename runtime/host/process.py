"""A process in a sandbox, as the host holds it: its output streams, its input, and how it ended."""

import asyncio
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.host.output import Cursor, OutputStream


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


@dataclass(frozen=True)
class Ending:
    """How a process ended, in the words of Go's `ProcessState`, which E2B's clients know."""

    exit_code: int
    exited: bool
    status: str
    error: str | None

    @classmethod
    def of(cls, wait_status: int) -> "Ending":
        """What the kernel says; a signal gives the exit code -1."""
        if os.WIFEXITED(wait_status):
            code = os.WEXITSTATUS(wait_status)
            status = f"exit status {code}"
            return cls(code, True, status, status if code else None)
        status = f"signal: {SIGNAL_WORDS.get(os.WTERMSIG(wait_status), f'signal {os.WTERMSIG(wait_status)}')}"
        if os.WCOREDUMP(wait_status):
            status += " (core dumped)"
        return cls(-1, False, status, status)


def _signal_words() -> dict[int, str]:
    """Go's names of signals: C's words, in small letters."""
    words = {}
    for number in signal.valid_signals():
        text = signal.strsignal(number)
        if text:
            words[int(number)] = text.lower()
    return words | {signal.SIGABRT: "aborted", signal.SIGTRAP: "trace/breakpoint trap"}


SIGNAL_WORDS = _signal_words()


class Attachment:
    """One taker of a process's output: told when there is something to do, it takes what there is."""

    def __init__(self, process: "Process", cursors: list[Cursor]) -> None:
        self.process = process
        self._cursors = cursors
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self.expired = False

    def take(self, limit: int) -> tuple[str, memoryview] | None:
        """The next bytes and the stream they are of; they must be used before the next await."""
        for cursor in self._cursors:
            part = cursor.take(limit)
            if part:
                return cursor.stream.name, part
        return None

    def taken(self) -> None:
        """Let the process write on: what was taken has gone out."""
        for cursor in self._cursors:
            cursor.stream.resume()

    def wake(self) -> None:
        """End the current or the next wait."""
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def expire(self) -> None:
        """The taker's time is over."""
        self.expired = True
        self.wake()

    async def wait(self) -> None:
        """Until something changed: output, the end, or a `wake` from outside."""
        if not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._woken = False

    def close(self) -> None:
        """Take no more."""
        self.process.detach(self, self._cursors)


class Process:
    """A started process; `key` is the name of its spawn request, by which the supervisor tells its end."""

    def __init__(self, key: str, request: ProcessRequest) -> None:
        self.key = key
        self.request = request
        self.pid = 0
        self.streams: list[OutputStream] = []
        self.input: int | None = None
        self.terminal: int | None = None
        self.ending: Ending | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.on_end: Callable[[Process], None] = lambda _: None
        self._started = False
        self._wait_status: int | None = None
        self._attachments: set[Attachment] = set()
        self._writing = asyncio.Lock()
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether the sandbox ended before the process could be seen to end."""
        return self._lost

    @property
    def attended(self) -> bool:
        """Whether anybody takes its output."""
        return bool(self._attachments)

    def attach(self, offsets: dict[str, int] | None = None) -> Attachment:
        """Take output from now on, or from offsets by stream name."""
        begin = offsets or {}
        attachment = Attachment(self, [stream.attach(begin.get(stream.name)) for stream in self.streams])
        self._attachments.add(attachment)
        return attachment

    def detach(self, attachment: Attachment, cursors: list[Cursor]) -> None:
        """Called by an attachment that takes no more."""
        self._attachments.discard(attachment)
        for cursor in cursors:
            cursor.stream.detach(cursor)

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
            if self.deadline is not None:
                self.deadline.cancel()
            self.on_end(self)
        for attachment in self._attachments:
            attachment.wake()

    def started(self, pid: int) -> None:
        """It runs, and its streams are there; the news of its end may have come before."""
        self.pid = pid
        self._started = True
        if self._wait_status is not None:
            self.exited(self._wait_status)

    def exited(self, wait_status: int) -> None:
        """The supervisor says that it ended; its end is told once its pipes are drained."""
        self._wait_status = wait_status
        if not self._started:
            return
        for stream in self.streams:
            stream.process_ended()
        self.changed()

    def lose(self) -> None:
        """The sandbox is gone: nothing more will come."""
        self._lost = True
        self.close_input()
        for attachment in self._attachments:
            attachment.wake()

    def expire(self) -> None:
        """Its time is over: those who take hear of the deadline, not of an end."""
        for attachment in self._attachments:
            attachment.expire()

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
        self.close_input()
        for stream in self.streams:
            stream.close()

    _writer: asyncio.Future[None] | None = None

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
