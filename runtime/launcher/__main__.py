"""Run as `python -m runtime.launcher DESCRIPTOR`: serve the runtime at the other end of this socket.

A request is a JSON datagram with three descriptors: the supervisor's listening socket, the filter of system
calls, and where complaints go. It is answered with the pids of bubblewrap's outer process and of the
sandbox's first one as soon as that runs, and later with the end of the outer one. The end of the socket is
ours.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import orjson

from runtime.launcher.namespaces import enter
from runtime.launcher.requests import (
    DATAGRAM_LIMIT,
    FILTER,
    INFORMATION,
    LISTENER,
    PASSED,
    Answer,
    LaunchRequest,
)

FAILED = 125
STARTS_SECONDS = 20


class LaunchLoop:
    """Requests, what bubblewraps tell of their sandboxes, and their ends."""

    def __init__(self, runtime: socket.socket) -> None:
        self._runtime = runtime
        self._wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._under_way: dict[int, _Launch] = {}
        self._poll = select.poll()
        self._poll.register(runtime, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)

    def serve(self) -> None:
        """Serve until the runtime has gone, and every sandbox that was begun has started."""
        ends_at: float | None = None
        while ends_at is None or (self._under_way and time.monotonic() < ends_at):
            for descriptor, _ in self._poll.poll(1000):
                if descriptor == self._wakeup:
                    os.read(self._wakeup, 4096)
                    self._tell_ends()
                elif descriptor in self._under_way:
                    self._listen_to(descriptor)
                elif not self._take_request():
                    # Whoever broke a bubblewrap's pipe now would leave its child waiting for ever.
                    self._poll.unregister(self._runtime)
                    ends_at = time.monotonic() + STARTS_SECONDS

    def _take_request(self) -> bool:
        """Begin what one request asks for; False when the runtime has gone."""
        message, descriptors, _, _ = socket.recv_fds(self._runtime, DATAGRAM_LIMIT, PASSED)
        if not message:
            return False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        request = LaunchRequest.decode(message)
        told, information = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if not pid:
            _become_bubblewrap(request, [*descriptors, information])
        for descriptor in (*descriptors, information):
            os.close(descriptor)
        os.set_blocking(told, False)
        self._under_way[told] = _Launch(request.number, pid)
        self._poll.register(told, select.POLLIN)
        return True

    def _listen_to(self, told: int) -> None:
        """A bubblewrap tells its child's pid, and closes the pipe when the child runs or it has failed."""
        launch = self._under_way[told]
        part = os.read(told, 4096)
        launch.text += part
        if part:
            return
        self._poll.unregister(told)
        os.close(told)
        del self._under_way[told]
        self._say(Answer(launch.number, launch.pid, child=launch.child()))

    def _tell_ends(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._say(Answer(0, pid, ended=status))

    def _say(self, answer: Answer) -> None:
        with suppress(OSError):  # a runtime that has gone is noticed when it is read from
            self._runtime.send(answer.encode())


@dataclass
class _Launch:
    """A bubblewrap that has not told everything yet."""

    number: int
    pid: int
    text: bytes = b""

    def child(self) -> int | None:
        """Pid 1 of the sandbox as we see it; None where bubblewrap ended before."""
        with suppress(ValueError, KeyError, TypeError):
            return int(orjson.loads(self.text)["child-pid"])
        return None


def main() -> None:
    """Serve the runtime."""
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the runtime decides when we end
    runtime = socket.socket(fileno=int(sys.argv[1]))
    # What we start must not have it: whoever holds it launches sandboxes and reads the requests for others.
    runtime.set_inheritable(False)
    LaunchLoop(runtime).serve()


def _become_bubblewrap(request: LaunchRequest, descriptors: list[int]) -> None:
    """In a child: take on the sandbox's ids and run. Never returns."""
    try:
        os.setsid()
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        # Above the numbers that they are to have, so that none is overwritten before it is moved.
        moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, INFORMATION + 1) for each in descriptors]
        for number, descriptor in zip((LISTENER, FILTER, 2, INFORMATION), moved, strict=True):
            os.dup2(descriptor, number)
        if request.first_id is not None:
            enter(request.first_id, request.staging, request.trees, request.hidden)
        os.chdir("/")
        os.execve(request.arguments[0], request.arguments, {})
    except BaseException as error:
        with suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(FAILED)


if __name__ == "__main__":
    main()
