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

    def __init__(self) -> None:
        self._numbers = count(1)
        self._started: dict[int, asyncio.Future[int]] = {}
        self._ends: OrderedDict[int, asyncio.Future[None]] = OrderedDict()
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
        descriptors: tuple[int, int, int, int],
        first_id: int | None,
        staging: str,
        trees: list[tuple[str, str]],
    ) -> int:
        """The pid of a bubblewrap that was started; `descriptors` as `runtime.launcher` orders them."""
        number = next(self._numbers)
        request = LaunchRequest(number, arguments, first_id, staging, trees)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started[number] = answer
        try:
            await self._send(request.encode(), descriptors)
            async with asyncio.timeout(START_SECONDS):
                return await answer
        except TimeoutError:
            raise MachineUnfitError("The launcher of sandboxes does not answer.") from None
        finally:
            self._started.pop(number, None)

    async def ended(self, pid: int, seconds: float) -> bool:
        """Whether a bubblewrap has ended, after waiting so long at most."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._end_of(pid))
        except TimeoutError:
            return False
        self._ends.pop(pid, None)
        return True

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

    async def _send(self, message: bytes, descriptors: tuple[int, int, int, int]) -> None:
        if self._socket is None or len(message) > DATAGRAM_LIMIT:
            raise MachineUnfitError("The launcher of sandboxes can't be asked.")
        for _ in range(START_SECONDS * 100):
            try:
                socket.send_fds(self._socket, [message], list(descriptors))
            except BlockingIOError:
                await asyncio.sleep(0.01)  # its queue is full for a moment
            except OSError as error:
                raise MachineUnfitError(f"The launcher of sandboxes has ended ({error}).") from error
            else:
                return
        raise MachineUnfitError("The launcher of sandboxes does not take requests.")

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
            asyncio.get_running_loop().remove_reader(self._socket)
            log.error("launcher_ended")
            for waiting in self._started.values():
                if not waiting.done():
                    waiting.set_exception(MachineUnfitError("The launcher of sandboxes has ended."))
            return
        answer = Answer.decode(message)
        if answer.ended is not None:
            self._note_end(answer.pid)
        elif (started := self._started.get(answer.number)) is not None and not started.done():
            started.set_result(answer.pid)

    def _note_end(self, pid: int) -> None:
        end = self._end_of(pid)
        if not end.done():
            end.set_result(None)
        while len(self._ends) > ENDS_KEPT:
            self._ends.popitem(last=False)

    def _end_of(self, pid: int) -> asyncio.Future[None]:
        if pid not in self._ends:
            self._ends[pid] = asyncio.get_running_loop().create_future()
        return self._ends[pid]


def runs_as_root() -> bool:
    """Whether sandboxes get host ids of their own."""
    return os.geteuid() == 0
