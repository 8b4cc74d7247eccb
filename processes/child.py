"""One child process: started, awaited until it is ready, stopped within its grace."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from processes.child_output import Output, OutputPipe
from processes.errors import StartError
from processes.identity import Identity

_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.2
_HURRY_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


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
        self._pipe: OutputPipe | None = None

    @property
    def process_id(self) -> int:
        """The process id; only after `start`."""
        return self._started.pid

    async def start(self) -> None:
        """Start the process; it gets its stop signal when we die, so that it does not outlive us."""
        plan = self.plan
        stop_signal, parent = plan.stop_signal, os.getpid()

        def end_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
            if os.getppid() != parent:
                os._exit(1)

        self._pipe = pipe = OutputPipe(self._output)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *plan.command,
                env=dict(plan.environment),
                cwd=plan.working_directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe.writing,
                stderr=asyncio.subprocess.STDOUT,
                # A Ctrl-C in the terminal is for us: we stop the children in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
                user=plan.identity.uid if plan.identity else None,
                group=plan.identity.gid if plan.identity else None,
                extra_groups=[] if plan.identity else None,
            )
        except OSError as error:
            raise ChildFailedError(f"{plan.name} could not be started: {error}.") from error
        finally:
            pipe.handed_over()

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
        if self._pipe:
            self._pipe.close()
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
        last_lines = self._pipe.last_lines if self._pipe else ()
        lines = "".join(f"\n  | {line}" for line in last_lines) or " It said nothing."
        return ChildFailedError(f"{self.plan.name} {what}.{lines}")

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
