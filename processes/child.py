"""One child process: started, awaited until it is ready, stopped within its grace."""

import asyncio
import ctypes
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processes.errors import StartError
from processes.identity import Identity

LAST_LINES = 30
_READ_BYTES = 65_536
_LAST_READS = 64
_LONGEST_LINE_BYTES = 2_000
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.2
_HURRY_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Output(Protocol):
    """Where a child's output goes."""

    def write(self, data: bytes) -> None:
        """Take some bytes, not necessarily whole lines."""


@dataclass(frozen=True)
class ChildPlan:
    """How to start one process, how to see that it is ready, and how to stop it.

    `environment` is the whole environment. `ready` is asked again and again until it says yes or
    `ready_seconds` are over; it may raise `StartError` when waiting is of no use.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    identity: Identity | None = None
    working_directory: Path = Path("/")
    ready_seconds: float = 30
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL
    grace_seconds: float = 10


class ChildFailedError(StartError):
    """A child ended, or was not ready in time, when it was started."""


class Child:
    """A plan and, once started, its process."""

    def __init__(self, plan: ChildPlan, output: Output) -> None:
        self.plan = plan
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: int | None = None
        self._unfinished_line = b""
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def process_id(self) -> int:
        """The process id; only after `start`."""
        return self._started.pid

    @property
    def last_lines(self) -> Sequence[str]:
        """The end of its output."""
        return tuple(self._last_lines)

    async def start(self) -> None:
        """Start the process; it gets its stop signal when we die, so that it does not outlive us."""
        plan = self.plan
        stop_signal, parent = plan.stop_signal, os.getpid()

        def end_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
            if os.getppid() != parent:
                os._exit(1)

        self._last_lines.clear()
        # A pipe of our own: asyncio's would count the child as running while its children hold the pipe.
        self._pipe, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(theirs, True)
        asyncio.get_running_loop().add_reader(self._pipe, self._read_output)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *plan.command,
                env=dict(plan.environment),
                cwd=plan.working_directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=asyncio.subprocess.STDOUT,
                # A Ctrl-C in the terminal is for us: we stop the children in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
                user=plan.identity.uid if plan.identity else None,
                group=plan.identity.gid if plan.identity else None,
                extra_groups=[] if plan.identity else None,
            )
        except OSError as error:
            self._close_output()
            raise ChildFailedError(f"{plan.name} could not be started: {error}.") from error
        finally:
            os.close(theirs)

    async def wait_until_ready(self) -> None:
        """Wait until the process is ready; or raise `ChildFailedError` with its last lines."""
        ended = asyncio.create_task(self.ended())
        pause = _FIRST_PAUSE_SECONDS
        try:
            async with asyncio.timeout(self.plan.ready_seconds):
                while not await self.plan.ready():
                    await asyncio.wait([ended], timeout=pause)
                    if ended.done():
                        raise self._failure(f"ended at once ({said(ended.result())})")
                    pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        except TimeoutError:
            raise self._failure(f"was not ready within {self.plan.ready_seconds:g} s") from None
        finally:
            ended.cancel()

    async def ended(self) -> int:
        """Wait for its end and return the exit code, negative for a signal."""
        code = await self._started.wait()
        # Its own children may still hold the pipe: what they have yet to say is not worth waiting for.
        self._close_output()
        return code

    async def stop(self, hurry: asyncio.Event) -> int | None:
        """Ask it to end, insist when its grace is over or `hurry` is set; None if it was not running."""
        if self._process is None:
            return None
        if self._process.returncode is None:
            self._send(self.plan.stop_signal)
            if not await self._ends_within(self.plan.grace_seconds, hurry):
                self._send(self.plan.hurry_signal)
                if not await self._ends_within(_HURRY_SECONDS, asyncio.Event()):
                    self._kill_group()
        code = await self.ended()
        self._kill_group()
        return code

    async def _ends_within(self, seconds: float, hurry: asyncio.Event) -> bool:
        ended = asyncio.create_task(self._started.wait())
        hurried = asyncio.create_task(hurry.wait())
        try:
            await asyncio.wait([ended, hurried], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return ended.done()
        finally:
            ended.cancel()
            hurried.cancel()

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._started.send_signal(number)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._started.pid, signal.SIGKILL)

    def _failure(self, what: str) -> ChildFailedError:
        lines = "".join(f"\n  | {line}" for line in self._last_lines) or " It said nothing."
        return ChildFailedError(f"{self.plan.name} {what}.{lines}")

    def _read_output(self) -> bool:
        """Take what the pipe holds, at most one read of it; whether there may be more."""
        try:
            data = os.read(self._pipe, _READ_BYTES) if self._pipe is not None else b""
        except BlockingIOError:
            return False
        if not data:
            self._close_output(drain=False)
            return False
        self._output.write(data)
        *lines, unfinished = (self._unfinished_line + data).split(b"\n")
        self._unfinished_line = unfinished[-_LONGEST_LINE_BYTES:]
        self._last_lines.extend(line[:_LONGEST_LINE_BYTES].decode(errors="replace") for line in lines)
        return True

    def _close_output(self, *, drain: bool = True) -> None:
        if self._pipe is None:
            return
        for _ in range(_LAST_READS if drain else 0):
            if not self._read_output():
                break
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None
        if self._unfinished_line:
            self._last_lines.append(self._unfinished_line.decode(errors="replace"))
            self._unfinished_line = b""

    @property
    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.plan.name} has not been started.")
        return self._process


def said(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"
