"""Pid 1 of a sandbox: starts processes with the descriptors that the host passes, and tells their end.

Run as `python supervisor.pyc LISTENER LEASE LIMITS`: the number of the inherited listening socket, how many
seconds it outlives its last connection, and resource limits as `number=value,…`.

A message is a datagram on a SEQPACKET socket: the byte `I` and fields (each a 4-byte little-endian length
and that many bytes), or the byte `M` where the fields lie in a memory file, passed as the last descriptor.
The first field is a verb, the second the request's id. Answers are `ok` or `error` (errno, text) with the
same id; the end of a process is told to every connection as `exit` (id of its spawn request, wait status).

Only C modules are imported: the interpreter is ready in 9 ms and holds 3 MB.
"""

import _ctypes
import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import posix
import resource
import select
import sys
from time import monotonic

PR_SET_DUMPABLE = 4
TERMINAL_WINDOW_SIZE = 0x5414
DATAGRAM_LIMIT = 1 << 18
MESSAGE_LIMIT = 1 << 23
DESCRIPTORS_PER_MESSAGE = 16
FIRST_PASSED_DESCRIPTOR = 20
CONNECTION_LIMIT = 8
# Python ignores the first two in itself; a child must not inherit that.
RESTORED_SIGNALS = (
    _signal.SIGPIPE,
    _signal.SIGXFSZ,
    _signal.SIGCHLD,
    _signal.SIGTERM,
    _signal.SIGINT,
    _signal.SIGHUP,
)

Fields = list[bytes]


def encode(fields: Fields) -> bytes:
    """The datagram of a message."""
    return b"I" + b"".join(len(field).to_bytes(4, "little") + field for field in fields)


def decode(body: bytes) -> Fields:
    """The fields of a message's body."""
    fields = []
    position = 0
    while position < len(body):
        length = int.from_bytes(body[position : position + 4], "little")
        fields.append(body[position + 4 : position + 4 + length])
        position += 4 + length
    return fields


def read_whole(descriptor: int) -> bytes:
    """What a passed memory file holds."""
    size = min(posix.fstat(descriptor).st_size, MESSAGE_LIMIT)
    return posix.pread(descriptor, size, 0)


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that were passed to us."""
    for descriptor in descriptors:
        posix.close(descriptor)


class Connection:
    """The host, on one socket."""

    def __init__(self, descriptor: int) -> None:
        self.socket = _socket.socket(fileno=descriptor)

    def send(self, fields: Fields, descriptors: list[int] | None = None) -> None:
        """Send a message; a host that went away is noticed by the next receive."""
        ancillary = []
        if descriptors:
            packed = b"".join(number.to_bytes(4, "little") for number in descriptors)
            ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
        try:
            self.socket.sendmsg([encode(fields)], ancillary)
        except OSError:
            return

    def receive(self) -> tuple[Fields, list[int]] | None:
        """The next message with its descriptors, or None when the host closed the connection."""
        space = _socket.CMSG_SPACE(4 * DESCRIPTORS_PER_MESSAGE)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(DATAGRAM_LIMIT, space, _socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return None
        descriptors = []
        for level, kind, packed in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                starts = range(0, len(packed) // 4 * 4, 4)
                descriptors += [int.from_bytes(packed[start : start + 4], "little") for start in starts]
        if not data:
            close_all(descriptors)
            return None
        if data[:1] == b"M":
            whole = descriptors.pop()
            body = read_whole(whole)
            posix.close(whole)
            return decode(body), descriptors
        return decode(data[1:]), descriptors


class Supervisor:
    """The loop of pid 1: connections, children, and what is kept for a host that comes back."""

    def __init__(self, listener: int, lease: float) -> None:
        self.listener = _socket.socket(fileno=listener)
        self.lease = lease
        self.poll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.running: dict[int, bytes] = {}
        self.ended: dict[bytes, int] = {}
        self.kept: dict[bytes, list[int]] = {}
        self.pids: dict[bytes, int] = {}
        self.stopped_before: list[int] = []
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
        self.connections[descriptor] = Connection(descriptor)
        self.poll.register(descriptor, select.EPOLLIN)

    def disconnect(self, connection: Connection) -> None:
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

    def serve(self, connection: Connection) -> None:
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
            if verb in (b"dial", b"open", b"listen"):
                close_all(passed)
        except Exception as error:  # whatever a message asks, pid 1 must live on
            number = getattr(error, "errno", None) or 0
            text = getattr(error, "strerror", None) or str(error)
            connection.send([b"error", request, b"%d" % number, text.encode()])
        finally:
            close_all(descriptors)

    def answer(
        self, verb: bytes, request: bytes, fields: Fields, descriptors: list[int]
    ) -> tuple[Fields, list[int]]:
        """Do what a message asks; descriptors left in `descriptors` are closed afterwards."""
        if verb == b"spawn":
            return self.spawn(request, fields, descriptors)
        if verb == b"signal":
            return self.signal(int(fields[0]), int(fields[1]))
        if verb == b"signal_all":
            return self.signal_all(int(fields[0]))
        if verb == b"stop_all":
            return self.stop_all()
        if verb == b"continue_all":
            return self.continue_all()
        if verb == b"dial":
            return [], [self.dial(int(fields[0]), int(fields[1]))]
        if verb == b"listen":
            return [], [self.listen(int(fields[0]))]
        if verb == b"open":
            # Without O_NONBLOCK a pipe that nobody writes to would hold up pid 1.
            flags = int(fields[1]) | posix.O_CLOEXEC | posix.O_NOCTTY | posix.O_NONBLOCK
            return [], [posix.open(fields[0], flags, int(fields[2]))]
        if verb == b"kept":
            return [], self.kept.get(fields[0], [])
        if verb == b"release":
            kept = self.kept.get(fields[0])
            if kept:
                close_all([kept.pop(int(fields[1]))])
            return [], []
        if verb == b"forget":
            self.ended.pop(fields[0], None)
            self.pids.pop(fields[0], None)
            close_all(self.kept.pop(fields[0], []))
            return [], []
        if verb == b"list":
            return self.list(), []
        if verb == b"ping":
            return [], []
        raise OSError(38, "unknown verb")

    def spawn(self, request: bytes, fields: Fields, descriptors: list[int]) -> tuple[Fields, list[int]]:
        """Start a process in a session of its own.

        Fields: directory, arguments, environment (both NUL-separated), where each descriptor goes (a number,
        or `k`: kept for a host that comes back), and `rows,columns` where the process gets a terminal.
        """
        directory, arguments, environment, places, size = fields
        actions: list[tuple[int, int, int] | tuple[int, int, bytes, int, int]] = []
        kept = []
        terminal = None
        for descriptor, place in zip(descriptors, places.split(b",") if places else [], strict=True):
            if place == b"k":
                kept.append(descriptor)
            else:
                actions.append((posix.POSIX_SPAWN_DUP2, descriptor, int(place)))
        slave = None
        if size:
            terminal, slave = posix.openpty()
            fcntl.ioctl(terminal, TERMINAL_WINDOW_SIZE, window_size(size))
            name = posix.ttyname(slave).encode()
            # Opened by the leader of a new session, it becomes the controlling terminal.
            actions.append((posix.POSIX_SPAWN_OPEN, 0, name, posix.O_RDWR, 0))
            actions.append((posix.POSIX_SPAWN_DUP2, 0, 1))
            actions.append((posix.POSIX_SPAWN_DUP2, 0, 2))
        argv = arguments.split(b"\0")
        variables = dict(pair.split(b"=", 1) for pair in environment.split(b"\0") if pair)
        try:
            change_directory(directory)
            pid = posix.posix_spawnp(
                argv[0],
                argv,
                variables,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=RESTORED_SIGNALS,
            )
        except OSError:
            if terminal is not None:
                posix.close(terminal)
            raise
        finally:
            posix.chdir(b"/")
            if slave is not None:
                posix.close(slave)
        for descriptor in kept:
            descriptors.remove(descriptor)
        if terminal is not None:
            kept.append(terminal)
        self.running[pid] = request
        self.pids[request] = pid
        self.kept[request] = kept
        return [b"%d" % pid], [] if terminal is None else [terminal]

    def signal(self, pid: int, number: int) -> tuple[Fields, list[int]]:
        """Signal a process's group, or the process where it left its group."""
        if pid not in self.running:
            raise ProcessLookupError(3, "no such process")
        try:
            posix.killpg(pid, number)
        except ProcessLookupError:
            posix.kill(pid, number)
        return [], []

    def signal_all(self, number: int) -> tuple[Fields, list[int]]:
        """Signal every process but ourselves."""
        try:
            posix.kill(-1, number)
        except ProcessLookupError:
            pass
        return [], []

    def stop_all(self) -> tuple[Fields, list[int]]:
        """Stop every process; which ones a user had stopped already is remembered."""
        self.stopped_before = [pid for pid in all_pids() if is_stopped(pid)]
        return self.signal_all(_signal.SIGSTOP)

    def continue_all(self) -> tuple[Fields, list[int]]:
        """Let them go on, but for those that were stopped before."""
        self.signal_all(_signal.SIGCONT)
        for pid in self.stopped_before:
            try:
                posix.kill(pid, _signal.SIGSTOP)
            except ProcessLookupError:
                pass
        self.stopped_before = []
        return [], []

    def dial(self, family: int, port: int) -> int:
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

    def listen(self, port: int) -> int:
        """A socket that listens inside, for a proxy that the host runs on it."""
        server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(128)
        return server.detach()

    def list(self) -> Fields:
        """Each process that is not forgotten: its request, pid, and wait status or `-`."""
        rows = []
        for request, pid in self.pids.items():
            status = self.ended.get(request)
            rows.append(b"%s %d %s" % (request, pid, b"-" if status is None else b"%d" % status))
        return rows


def all_pids() -> list[int]:
    """Every process inside but ourselves."""
    return [int(name) for name in posix.listdir("/proc") if name.isdigit() and name != "1"]


def is_stopped(pid: int) -> bool:
    """Whether it is stopped, by job control say."""
    try:
        descriptor = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        return posix.read(descriptor, 4096).rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False
    finally:
        posix.close(descriptor)


def window_size(size: bytes) -> bytes:
    """`rows,columns` as the kernel's structure."""
    rows, columns = size.split(b",")
    return int(rows).to_bytes(2, "little") + int(columns).to_bytes(2, "little") + b"\0\0\0\0"


def change_directory(directory: bytes) -> None:
    """Go there; the word `cwd` in the error tells it from that of a program that isn't there."""
    try:
        posix.chdir(directory)
    except OSError as error:
        raise OSError(error.errno, "cwd") from None


def set_undumpable() -> None:
    """Bar everything inside from tracing or reading us."""
    prctl = _ctypes.dlsym(_ctypes.dlopen("libc.so.6", 0), "prctl")
    if _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0)) != 0:
        raise SystemExit("prctl(PR_SET_DUMPABLE) failed")


def set_limits(limits: str) -> None:
    """Limits of this process, inherited by all others; set here, where they count per user namespace."""
    for pair in limits.split(","):
        number, value = pair.split("=")
        hard = resource.getrlimit(int(number))[1]
        bound = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(int(number), (bound, bound))


def reserve_low_descriptors() -> None:
    """Take the numbers that processes are given descriptors at, so that no passed one has such a number."""
    while True:
        descriptor = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
        if descriptor >= FIRST_PASSED_DESCRIPTOR - 1:
            return


def main() -> None:
    """Become pid 1's supervisor."""
    listener, lease, limits = sys.argv[1:]
    set_undumpable()
    posix.set_inheritable(int(listener), False)
    set_limits(limits)
    reserve_low_descriptors()
    Supervisor(int(listener), float(lease)).run()


main()
