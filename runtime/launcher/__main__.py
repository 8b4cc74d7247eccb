"""Run as `python -m runtime.launcher DESCRIPTOR`: serve the runtime at the other end of this socket.

A request is a JSON datagram with four descriptors: the supervisor's listening socket, the filter of system
calls, where bubblewrap tells its pid, and where complaints go. It is answered with the pid of bubblewrap's
outer process, and later with that one's end. The end of the socket is ours.
"""

import fcntl
import os
import select
import signal
import socket
import sys
from contextlib import suppress

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


def main() -> None:
    """Serve until the runtime has gone."""
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the runtime decides when we end
    runtime = socket.socket(fileno=int(sys.argv[1]))
    # What we start must not have it: whoever holds it launches sandboxes and reads the requests for others.
    runtime.set_inheritable(False)
    wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(runtime, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == wakeup:
                os.read(wakeup, 4096)
                _tell_ends(runtime)
            elif not _serve(runtime):
                return


def _serve(runtime: socket.socket) -> bool:
    """Answer one request; False when the runtime has gone."""
    message, descriptors, _, _ = socket.recv_fds(runtime, DATAGRAM_LIMIT, PASSED)
    if not message:
        return False
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    request = LaunchRequest.decode(message)
    pid = os.fork()
    if not pid:
        _become_bubblewrap(request, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _say(runtime, Answer(request.number, pid, None))
    return True


def _become_bubblewrap(request: LaunchRequest, descriptors: list[int]) -> None:
    """In a child: take on the sandbox's ids and run. Never returns."""
    try:
        os.setsid()
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        nothing = os.open(os.devnull, os.O_RDWR)
        # Above the numbers that they are to have, so that none is overwritten before it is moved.
        moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, INFORMATION + 1) for each in descriptors]
        for number, descriptor in zip((LISTENER, FILTER, INFORMATION, 2), moved, strict=True):
            os.dup2(descriptor, number)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        if request.first_id is not None:
            enter(request.first_id, request.staging, request.trees, request.hidden)
        os.chdir("/")
        os.execve(request.arguments[0], request.arguments, {})
    except BaseException as error:
        with suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(FAILED)


def _tell_ends(runtime: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say(runtime, Answer(0, pid, status))


def _say(runtime: socket.socket, answer: Answer) -> None:
    with suppress(OSError):  # a runtime that has gone is noticed when it is read from
        runtime.send(answer.encode())


if __name__ == "__main__":
    main()
