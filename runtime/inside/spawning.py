"""Start a process with descriptors at given numbers, or on a terminal of its own, as one of the users."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import posix

from runtime.inside.privileges import (
    OF_FILE_AGENT,
    OF_ROOT,
    OF_SUPERVISOR,
    bound_capabilities,
    raise_ambient,
    set_capabilities,
)
from runtime.inside.system_calls import call

FIRST_PASSED_DESCRIPTOR = 20
TERMINAL_WINDOW_SIZE = 0x5414
CONTROLLING_TERMINAL = 0x540E
PR_SET_KEEPCAPS = 8
# Python ignores the first two in itself; a child must not inherit that.
RESTORED_SIGNALS = (
    _signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP,
)  # fmt: skip


class Identity:
    """Whom a process runs as: its ids, and whether it is the file agent, which reaches every file."""

    def __init__(self, user: int, group: int, groups: list[int], *, reaches_every_file: bool) -> None:
        self.user = user
        self.group = group
        self.groups = groups
        self.reaches_every_file = reaches_every_file

    def become(self) -> None:
        """Take the ids on and let go of every other privilege."""
        posix.setgroups(self.groups)
        posix.setresgid(self.group, self.group, self.group)
        if self.user == 0:
            bound_capabilities(OF_ROOT, among=OF_SUPERVISOR)
            set_capabilities(OF_ROOT)
            return
        kept = OF_FILE_AGENT if self.reaches_every_file else ()
        bound_capabilities(kept, among=OF_SUPERVISOR)
        # Another user than root keeps ambient capabilities alone, and those need inheritable ones.
        call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        posix.setresuid(self.user, self.user, self.user)
        set_capabilities(kept, kept)
        raise_ambient(kept)


def reserve_low_descriptors() -> None:
    """Take the numbers that processes are given descriptors at, so that no passed one has such a number."""
    while True:
        descriptor = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
        if descriptor >= FIRST_PASSED_DESCRIPTOR - 1:
            return


def spawn(
    arguments: bytes,
    environment: bytes,
    directory: bytes,
    places: dict[int, int],
    size: bytes,
    identity: Identity | None,
) -> tuple[int, int | None]:
    """Start a process in a session of its own; gives its pid, and its terminal where it has one.

    Arguments and environment are NUL-separated; `places` are its descriptor numbers by ours; a size, as
    `rows,columns`, asks for a terminal as its three first descriptors. Without an identity it runs as we do.
    """
    terminal = slave = None
    if size:
        terminal, slave = posix.openpty()
        fcntl.ioctl(terminal, TERMINAL_WINDOW_SIZE, _window_size(size))
        places = {slave: 0}
    child = _Child(arguments, environment, directory, places, identity, has_terminal=slave is not None)
    told, tell = posix.pipe2(posix.O_CLOEXEC)
    try:
        pid = posix.fork()
        if not pid:
            child.run(tell)
        posix.close(tell)
        tell = -1
        # Its end of the pipe closes as soon as its program runs.
        _check_started(pid, posix.read(told, 512))
    except OSError:
        if terminal is not None:
            posix.close(terminal)
        raise
    finally:
        posix.close(told)
        if tell >= 0:
            posix.close(tell)
        if slave is not None:
            posix.close(slave)
    return pid, terminal


def _check_started(pid: int, problem: bytes) -> None:
    if problem:
        posix.waitpid(pid, 0)
        number, _, step = problem.partition(b" ")
        raise OSError(int(number), step.decode() or posix.strerror(int(number)))


class _Child:
    """What is done between fork and exec; everything that can be is made before."""

    def __init__(
        self,
        arguments: bytes,
        environment: bytes,
        directory: bytes,
        places: dict[int, int],
        identity: Identity | None,
        *,
        has_terminal: bool,
    ) -> None:
        self.arguments = arguments.split(b"\0")
        self.variables = dict([pair.split(b"=", 1) for pair in environment.split(b"\0") if pair])
        self.directory = directory
        self.places = places
        self.identity = identity
        self.has_terminal = has_terminal

    def run(self, tell: int) -> None:
        """Become the program; its failure is told with the step that failed. Never returns."""
        step = b"could not be set up"
        try:
            posix.setsid()
            for descriptor, number in self.places.items():
                posix.dup2(descriptor, number, inheritable=True)
            if self.has_terminal:
                fcntl.ioctl(0, CONTROLLING_TERMINAL, 0)
                posix.dup2(0, 1, inheritable=True)
                posix.dup2(0, 2, inheritable=True)
            for number in RESTORED_SIGNALS:
                _signal.signal(number, _signal.SIG_DFL)
            _signal.set_wakeup_fd(-1)
            if self.identity is not None:
                self.identity.become()
            step = b"cwd"
            posix.chdir(self.directory)
            step = b""
            self.execute()
        except OSError as error:
            posix.write(tell, b"%d %s" % (error.errno or 0, step))
        except BaseException as error:  # whatever it was, two supervisors must not go on
            posix.write(tell, b"0 " + repr(error).encode()[:400])
        finally:
            posix._exit(127)

    def execute(self) -> None:
        """Run the program, looked for along the path of its own environment where it names no folder."""
        program = self.arguments[0]
        if b"/" in program:
            posix.execve(program, self.arguments, self.variables)
        problem = OSError(2, "No such file or directory")
        for folder in self.variables.get(b"PATH", b"/usr/bin:/bin").split(b":"):
            try:
                posix.execve(folder + b"/" + program, self.arguments, self.variables)
            except OSError as error:
                if error.errno not in (2, 20):
                    problem = error
        raise problem


def _window_size(size: bytes) -> bytes:
    rows, columns = size.split(b",")
    return int(rows).to_bytes(2, "little") + int(columns).to_bytes(2, "little") + b"\0\0\0\0"
