"""Commands in a sandbox that is built or started, their output given line by line."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runtime.host.attachment import Attachment
from runtime.host.ending import Ending
from runtime.host.errors import SandboxGoneError, SupervisorError
from runtime.host.process import STREAM_NAMES, InputClosedError, Process, ProcessRequest
from runtime.host.sandbox import Sandbox
from runtime.host.start import Context

DATA_AT_ONCE = 1 << 16
LINE_LIMIT = 8 << 10
TAIL_LINES = 20

OnLine = Callable[[str, str], None]
"""Takes a stream's name and a line of it."""


@dataclass(frozen=True)
class Command:
    """What to run: a program with arguments, in a context, and for how many seconds at most."""

    arguments: tuple[str, ...]
    context: Context
    seconds: float | None = None

    @classmethod
    def shell(cls, script: str, context: Context, *arguments: str, seconds: float | None = None) -> "Command":
        """A script as E2B's builder runs it: by a login shell."""
        return cls(("/bin/bash", "-l", "-c", script, "bash", *arguments), context, seconds)


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and the last lines that it wrote."""

    ending: Ending
    tail: str

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself with 0."""
        return self.ending.exit_code == 0

    def explain(self) -> str:
        """In words: how it ended, and what it said."""
        return f"{self.ending.status}\n{self.tail}" if self.tail else self.ending.status


async def run(
    sandbox: Sandbox, command: Command, on_line: OnLine, given: AsyncIterator[bytes] | None = None
) -> Outcome:
    """Run a command to its end, with `given` as its input.

    Raises `SupervisorError` where it can't be started, `SandboxGoneError` where the sandbox ends first, and
    once it has ended `OSError` where the input could not be read to its end.
    """
    process = await start(sandbox, command, stdin=given is not None)
    feeding = asyncio.ensure_future(_feed(sandbox, process, given)) if given is not None else None
    fed: Sequence[BaseException | None] = ()
    try:
        outcome = await follow(process, on_line)
    finally:
        if feeding is not None:
            feeding.cancel()
            fed = await asyncio.gather(feeding, return_exceptions=True)
    for error in fed:
        if isinstance(error, OSError):
            raise error
    return outcome


async def start(
    sandbox: Sandbox, command: Command, *, stdin: bool = False, keeps_output: bool = True
) -> Process:
    """Start a command, to be followed or left alone; its time runs from now.

    One that doesn't keep its output never waits for anyone to take it.
    """
    program, *arguments = command.arguments
    return await sandbox.start_process(
        ProcessRequest(
            command=program,
            arguments=tuple(arguments),
            environment=command.context.environment,
            directory=command.context.directory,
            user=command.context.user,
            stdin=stdin,
            keeps_output=keeps_output,
            deadline=None if command.seconds is None else time.time() + command.seconds,
        )
    )


async def follow(process: Process, on_line: OnLine) -> Outcome:
    """Give the lines of a process from its first on, until it has ended."""
    attachment = process.attach(dict.fromkeys(STREAM_NAMES, 0))
    try:
        return await _follow(process, attachment, on_line)
    finally:
        process.detach(attachment)


async def _follow(process: Process, attachment: Attachment, on_line: OnLine) -> Outcome:
    lines = _Lines(on_line)
    while True:
        if attachment.aborted:
            raise SandboxGoneError("The sandbox ended while a command ran in it.")
        taken = attachment.take(DATA_AT_ONCE)
        if taken is not None:
            lines.add(*taken)
            attachment.taken()
            await asyncio.sleep(0)  # a command that never stops writing leaves others their turn
        elif process.ending is not None:
            lines.finish()
            return Outcome(process.ending, "\n".join(lines.tail))
        else:
            await attachment.wait()


class _Lines:
    """Cuts output into lines of bounded length, and keeps the last ones."""

    def __init__(self, on_line: OnLine) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._begun: dict[str, bytes] = {}

    def add(self, stream: str, data: memoryview) -> None:
        *lines, rest = (self._begun.get(stream, b"") + bytes(data)).split(b"\n")
        for line in lines:
            self._give(stream, line)
        while len(rest) > LINE_LIMIT:
            self._give(stream, rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        self._begun[stream] = rest

    def finish(self) -> None:
        for stream, rest in self._begun.items():
            self._give(stream, rest)

    def _give(self, stream: str, line: bytes) -> None:
        # What a progress bar overwrote is no line of its own.
        text = line[:LINE_LIMIT].rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace").strip()
        if text:
            self.tail.append(text)
            self._on_line(stream, text)


async def _feed(sandbox: Sandbox, process: Process, given: AsyncIterator[bytes]) -> None:
    # How the command ends says more.
    with suppress(InputClosedError, SandboxGoneError, SupervisorError):
        try:
            async for part in given:
                await process.write(part, terminal=False)
        finally:
            # Also where no more can be read: a command that waits for its input would wait for ever.
            await sandbox.close_input(process)
