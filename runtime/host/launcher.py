"""The launcher process, as the runtime speaks to it. What it is for: `runtime.launcher`."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import OrderedDict
from itertools import count

import structlog

from runtime.host.errors import MachineUnfitError
from runtime.launcher.requests import DATAGRAM_LIMIT, Answer, LaunchRequest

log = structlog.get_logger("runtime.launcher")

START_SECONDS = 20
STOP_SECONDS = 5
ENDS_KEPT = 4096


class Launcher:
    """Starts bubblewraps, and knows when they have ended. One for a runtime."""

    def __init__(self, *, hidden: str) -> None:
        """What is mounted below `hidden` is for other sandboxes, and not held by any that it starts."""
        self._hidden = hidden
        self._numbers = count(1)
        self._started: dict[int, asyncio.Future[tuple[int, int | None]]] = {}
        self._ends: OrderedDict[int, asyncio.Future[int]] = OrderedDict()
        self._watched: set[int] = set()
        """Bubblewraps that the launcher of now started, and will tell the end of."""
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Start the process; needs the running loop."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "runtime.launcher", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._read)

    async def start(
        self,
        arguments: list[str],
        *,
        descriptors: tuple[int, int, int],
        first_id: int | None,
        staging: str,
        trees: list[tuple[str, str]],
    ) -> tuple[int, int | None]:
        """The pids of a bubblewrap that was started and of its sandbox's first process; None if that failed.

        `descriptors` are ordered as in `runtime.launcher`.
        """
        number = next(self._numbers)
        request = LaunchRequest(number, arguments, first_id, staging, trees, self._hidden)
        answer: asyncio.Future[tuple[int, int | None]] = asyncio.get_running_loop().create_future()
        self._started[number] = answer
        try:
            await self._send(request.encode(), descriptors)
            async with asyncio.timeout(START_SECONDS):
                return await answer
        except TimeoutError:
            raise MachineUnfitError("The launcher of sandboxes does not answer.") from None
        finally:
            self._started.pop(number, None)

    async def ended(self, pid: int, seconds: float) -> int | None:
        """The wait status that a bubblewrap ended with; None where it hasn't after so long."""
        if pid not in self._watched and pid not in self._ends:
            return 0  # an earlier launcher's, which nobody will tell us of
        try:
            async with asyncio.timeout(seconds):
                status = await asyncio.shield(self._end_of(pid))
        except TimeoutError:
            return None
        self._ends.pop(pid, None)
        return status

    def close(self) -> None:
        """End it; what it started lives on."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def _send(self, message: bytes, descriptors: tuple[int, int, int]) -> None:
        if len(message) > DATAGRAM_LIMIT:
            raise MachineUnfitError("A sandbox has more layers than can be told to the launcher.")
        for _ in range(START_SECONDS * 100):
            if self._socket is None:
                self.open()
            try:
                socket.send_fds(self._connection(), [message], list(descriptors))
            except BlockingIOError:
                await asyncio.sleep(0.01)  # its queue is full for a moment
            except OSError:
                self._lose()
            else:
                return
        raise MachineUnfitError("The launcher of sandboxes does not take requests.")

    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise MachineUnfitError("The launcher of sandboxes has ended; try again.")
        return self._socket

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            message = self._socket.recv(DATAGRAM_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lose()
            return
        answer = Answer.decode(message)
        if answer.ended is not None:
            self._note_end(answer.pid, answer.ended)
            return
        if answer.pid not in self._ends:
            self._watched.add(answer.pid)
        if (started := self._started.get(answer.number)) is not None and not started.done():
            started.set_result((answer.pid, answer.child))

    def _lose(self) -> None:
        """It was killed: what it started lives on, and the next request starts another."""
        log.error("launcher_ended")
        self.close()
        for waiting in self._started.values():
            if not waiting.done():
                waiting.set_exception(MachineUnfitError("The launcher of sandboxes has ended; try again."))
        self._watched.clear()
        for pid in [pid for pid, end in self._ends.items() if not end.done()]:
            self._note_end(pid, 0)  # nobody will tell us any more

    def _note_end(self, pid: int, status: int) -> None:
        self._watched.discard(pid)
        end = self._end_of(pid)
        if not end.done():
            end.set_result(status)
        while len(self._ends) > ENDS_KEPT:
            self._ends.popitem(last=False)

    def _end_of(self, pid: int) -> asyncio.Future[int]:
        if pid not in self._ends:
            self._ends[pid] = asyncio.get_running_loop().create_future()
        return self._ends[pid]


def runs_as_root() -> bool:
    """Whether sandboxes get host ids of their own."""
    return os.geteuid() == 0
