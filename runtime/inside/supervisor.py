"""Pid 1 of a sandbox: starts processes with the descriptors that the host passes, and tells their end.

Run by bubblewrap as `python supervisor.pyc LISTENER FILTER LEASE LIMITS REDIRECTION SOURCE:TARGET…`: the
numbers of the inherited listening socket and of the file with the filter of system calls, how many seconds it
outlives its last connection, resource limits as `number=value,…`, the ports that connections to the outside
are turned to as `tcp,dns` or nothing, and what is to be mounted where in the sandbox's tree.
Started as root of its user namespace, it starts processes as any of the sandbox's users; else as itself.

The first field of a message is a verb, the second the request's id. Answers are `ok` or `error` (errno,
text) with the same id; the end of a process is told to every connection as `exit` (id of its spawn request,
wait status). Only C modules are imported: the interpreter is ready in 9 ms and holds 3 MB.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import gc
import posix
import resource
import select
import sys
from time import monotonic

if __name__ == "__main__":
    # In a sandbox these files lie in one directory; they are the package runtime.inside all the same.
    for name, places in (("runtime", []), ("runtime.inside", ["/runtime"])):
        sys.modules[name] = type(sys)(name)
        sys.modules[name].__path__ = places

from runtime.inside.accounts import find_account
from runtime.inside.host_connection import HostConnection, close_all
from runtime.inside.privileges import (
    OF_SUPERVISOR,
    bar_tracing,
    bound_capabilities,
    filter_system_calls,
    set_capabilities,
)
from runtime.inside.redirection import bring_up_own_loopback, redirect_to_proxy
from runtime.inside.root_assembly import assemble_root
from runtime.inside.signalling import continue_everything, kill_everything, signal_group, stop_everything
from runtime.inside.spawning import Identity, reserve_low_descriptors, spawn

CONNECTION_LIMIT = 8
LISTENER_BACKLOG = 128


class Supervisor:
    """The loop of pid 1: connections, children, and what is kept for a host that comes back."""

    def __init__(self, listener: int, lease: float, *, redirected: bool) -> None:
        self.redirected = redirected
        self.listener = _socket.socket(fileno=listener)
        self.lease = lease
        self.poll = select.epoll()
        self.connections: dict[int, HostConnection] = {}
        self.running: dict[int, bytes] = {}
        self.ended: dict[bytes, int] = {}
        self.kept: dict[bytes, list[int]] = {}
        self.pids: dict[bytes, int] = {}
        self.listeners: dict[int, _socket.socket] = {}
        self.stopped_before: list[int] | None = None
        self.wakeup, write_end = posix.pipe2(posix.O_NONBLOCK | posix.O_CLOEXEC)
        _signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_IGN)
        self.poll.register(listener, select.EPOLLIN)
        self.poll.register(self.wakeup, select.EPOLLIN)

    def run(self) -> None:
        """Serve until no host has been connected for the time of the lease."""
        alone_since = monotonic()
        while True:
            ready = self.poll.poll(None if self.connections else self.lease)
            for descriptor, _ in ready:
                if descriptor == self.listener.fileno():
                    self.accept()
                elif descriptor == self.wakeup:
                    posix.read(self.wakeup, 4096)
                    self.reap()
                elif descriptor in self.connections:
                    self.serve(self.connections[descriptor])
            if self.connections:
                alone_since = monotonic()
            elif monotonic() - alone_since >= self.lease:
                return

    def accept(self) -> None:
        """A host connects; more than a few at once is a mistake."""
        descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]
        if len(self.connections) >= CONNECTION_LIMIT:
            posix.close(descriptor)
            return
        self.connections[descriptor] = HostConnection(descriptor)
        self.poll.register(descriptor, select.EPOLLIN)

    def disconnect(self, connection: HostConnection) -> None:
        """Forget a host that went away."""
        descriptor = connection.socket.fileno()
        self.poll.unregister(descriptor)
        del self.connections[descriptor]
        connection.socket.close()

    def reap(self) -> None:
        """Collect every child that ended; orphans end up here too."""
        while True:
            try:
                pid, status = posix.waitpid(-1, posix.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            request = self.running.pop(pid, None)
            if request is None:
                continue
            self.ended[request] = status
            for connection in list(self.connections.values()):
                connection.send([b"exit", request, b"%d" % status])

    def serve(self, connection: HostConnection) -> None:
        """Read one message, and answer it."""
        message = connection.receive()
        if message is None:
            self.disconnect(connection)
            return
        fields, descriptors = message
        verb, request = fields[0], fields[1]
        try:
            answer, passed = self.answer(verb, request, fields[2:], descriptors)
            connection.send([b"ok", request, *answer], passed)
            if verb == b"dial":
                close_all(passed)
        except Exception as error:  # whatever a message asks, pid 1 must live on
            number = getattr(error, "errno", None) or 0
            text = getattr(error, "strerror", None) or str(error)
            connection.send([b"error", request, b"%d" % number, text.encode()])
        finally:
            close_all(descriptors)

    def answer(
        self, verb: bytes, request: bytes, fields: list[bytes], descriptors: list[int]
    ) -> tuple[list[bytes], list[int]]:
        """Do what a message asks; descriptors left in `descriptors` are closed afterwards."""
        if verb == b"spawn":
            return self.spawn(request, fields, descriptors)
        if verb == b"signal":
            self.signal(int(fields[0]), int(fields[1]))
        elif verb == b"stop_all":
            stopped = stop_everything()
            if self.stopped_before is None:  # else those are ours, that were stopped the first time
                self.stopped_before = stopped
        elif verb == b"continue_all":
            if self.stopped_before is not None:  # else those that stand do so for reasons of their own
                continue_everything(self.stopped_before)
                self.stopped_before = None
        elif verb == b"kill_all":
            kill_everything()
        elif verb == b"dial":
            return [], [dial(int(fields[0]), int(fields[1]))]
        elif verb == b"listen":
            return [], [self.listen(int(fields[0]), int(fields[1]))]
        elif verb == b"redirected":
            return [b"%d" % self.redirected], []
        elif verb == b"kept":
            return [], self.kept.get(fields[0], [])
        elif verb == b"release":
            self.release(fields[0], int(fields[1]))
        elif verb == b"forget":
            self.forget(fields[0])
        elif verb == b"account":
            return find_account(fields[0]), []
        elif verb == b"list":
            return self.list(), []
        else:
            raise OSError(38, "unknown verb")
        return [], []

    def spawn(
        self, request: bytes, fields: list[bytes], descriptors: list[int]
    ) -> tuple[list[bytes], list[int]]:
        """Start a process: directory, arguments, environment, descriptors' places, terminal's size, identity.

        A descriptor goes to a number inside, or to `k`: kept for a host that comes back. An identity is
        `user:group:groups`, with commas, and `:files` after it for the file agent.
        """
        directory, arguments, environment, listed, size, wanted = fields
        kept = []
        places = {}
        for descriptor, place in zip(descriptors, listed.split(b",") if listed else []):  # noqa: B905
            if place == b"k":
                kept.append(descriptor)
            else:
                places[descriptor] = int(place)
        pid, terminal = spawn(arguments, environment, directory, places, size, identity(wanted))
        for descriptor in kept:
            descriptors.remove(descriptor)
        if terminal is not None:
            kept.append(terminal)
        self.running[pid] = request
        self.pids[request] = pid
        self.kept[request] = kept
        return [b"%d" % pid], [] if terminal is None else [terminal]

    def listen(self, kind: int, port: int) -> int:
        """A socket that listens on our loopback; it stays open here, for a host that comes back."""
        if port not in self.listeners:
            listener = _socket.socket(_socket.AF_INET, kind)
            listener.bind(("127.0.0.1", port))
            if kind == _socket.SOCK_STREAM:
                listener.listen(LISTENER_BACKLOG)
            self.listeners[port] = listener
        return self.listeners[port].fileno()

    def signal(self, pid: int, number: int) -> None:
        """Signal one of the processes that were started here."""
        if pid not in self.running:
            raise ProcessLookupError(3, "no such process")
        signal_group(pid, number)

    def release(self, request: bytes, place: int) -> None:
        """Close one of a process's kept descriptors."""
        kept = self.kept.get(request)
        if kept:
            posix.close(kept.pop(place))

    def forget(self, request: bytes) -> None:
        """Drop what is remembered of a process."""
        self.ended.pop(request, None)
        self.pids.pop(request, None)
        close_all(self.kept.pop(request, []))

    def list(self) -> list[bytes]:
        """Each process that is not forgotten: its request, pid, and wait status or `-`."""
        rows = []
        for request, pid in self.pids.items():
            status = self.ended.get(request)
            rows.append(b"%s %d %s" % (request, pid, b"-" if status is None else b"%d" % status))
        return rows


def dial(family: int, port: int) -> int:
    """A socket that is connecting to a server inside; the host waits for it, so that we never do."""
    client = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    address = "127.0.0.1" if family == _socket.AF_INET else "::1"
    try:
        client.connect((address, port))
    except BlockingIOError:
        pass
    except OSError:
        client.close()
        raise
    return client.detach()


def identity(wanted: bytes) -> Identity | None:
    """Whom to run as; where we are not root inside, there is nobody else to be."""
    if posix.getuid() != 0:
        return None
    user, group, groups, *agent = wanted.split(b":")
    return Identity(
        int(user), int(group), [int(number) for number in groups.split(b",")], reaches_every_file=bool(agent)
    )


def set_limits(limits: str) -> None:
    """Limits of this process, inherited by all others; set here, where they count per user namespace."""
    for pair in limits.split(","):
        number, value = pair.split("=")
        hard = resource.getrlimit(int(number))[1]
        bound = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(int(number), (bound, bound))


def redirect(ports: str) -> bool:
    """Turn connections to the outside to ours; False where the kernel can't."""
    if posix.getuid() != 0:
        bring_up_own_loopback()
    tcp_port, dns_port = ports.split(",")
    return redirect_to_proxy(int(tcp_port), int(dns_port))


def main() -> None:
    """Become pid 1's supervisor."""
    listener, system_calls, lease, limits, redirection, *mounts = sys.argv[1:]
    bar_tracing()
    for number in (listener, system_calls):
        posix.set_inheritable(int(number), False)
    pairs = [mount.encode().split(b":", 1) for mount in mounts]
    assemble_root([(source, target) for source, target in pairs])
    redirected = bool(redirection) and redirect(redirection)
    kept = OF_SUPERVISOR if posix.getuid() == 0 else ()
    bound_capabilities(kept)
    set_capabilities(kept)
    filter_system_calls(int(system_calls))
    set_limits(limits)
    reserve_low_descriptors()
    # What is there now lives as long as we do: a fork then has nothing to copy for the collector's sake.
    gc.freeze()
    gc.disable()
    Supervisor(int(listener), float(lease), redirected=redirected).run()


if __name__ == "__main__":
    main()
