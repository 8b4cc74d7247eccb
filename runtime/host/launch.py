"""Start a supervisor in its sandbox, and know its pid 1 as the host sees it."""

import asyncio
import json
import os
import select
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.host.bubblewrap import Launch, command
from runtime.host.errors import MachineUnfitError
from runtime.host.launcher import Launcher
from runtime.host.seccomp import filter_program

START_SECONDS = 20


@dataclass(frozen=True)
class Pid1:
    """A process as the host knows it, told apart from a later one that got the same number."""

    pid: int
    start_time: int
    boot_id: str

    def is_alive(self) -> bool:
        """Whether it is still this process that bears the number."""
        return self.boot_id == boot_id() and start_time_of(self.pid) == self.start_time

    def kill(self) -> None:
        """End it, and with it every process of its namespace; returns when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.is_alive():
                return
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            _becomes_readable(handle, START_SECONDS)
        finally:
            os.close(handle)


@dataclass(frozen=True)
class Launched:
    """A supervisor that was started; `outer` is the pid of bubblewrap, which waits for it outside."""

    pid1: Pid1
    outer: int


def boot_id() -> str:
    """This boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time_of(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


async def launch(
    launcher: Launcher,
    bubblewrap: Path,
    request: Launch,
    *,
    control_path: Path,
    first_id: int | None,
    staging: Path,
    trees: Sequence[tuple[str, str]],
    hidden: str,
) -> Launched:
    """Start a sandbox's supervisor, listening at `control_path`.

    With `first_id` it runs with the host ids from there, and sees each of `trees` (a host path, a name)
    mounted as `staging/name` in those ids; it holds no mount at or below `hidden`. bubblewrap itself never
    runs as root: it would then leave /proc/sys writable for the sandbox.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(control_path))
        system_calls = os.memfd_create("seccomp", 0)
        stack.callback(os.close, system_calls)
        os.write(system_calls, filter_program())
        told, information = os.pipe()
        stack.callback(os.close, told)
        complaints = stack.enter_context(tempfile.TemporaryFile())
        try:
            outer = await launcher.start(
                command(bubblewrap, request),
                descriptors=(listener.fileno(), system_calls, information, complaints.fileno()),
                first_id=first_id,
                staging=str(staging),
                trees=list(trees),
                hidden=hidden,
            )
        finally:
            os.close(information)
        pid = await _child_pid(told)
        started = start_time_of(pid) if pid else None
        if pid is None or started is None:
            await launcher.ended(outer, START_SECONDS)
            complaints.seek(0)
            raise MachineUnfitError(explain(complaints.read(4096).decode(errors="replace").strip()))
        return Launched(Pid1(pid, started, boot_id()), outer)


def connect(control_path: Path) -> socket.socket:
    """A connection to the supervisor that listens there; the socket's file is only ours to open."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with _short_name(control_path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


def explain(complaint: str) -> str:
    """bubblewrap's complaint, with what to do about it."""
    advice = "See docs/runtime.md for what a machine needs."
    if "mount_setattr" in complaint:
        advice = (
            "Its file system has no idmapped mounts: set RUNTIME_STATE_DIRECTORY to a place on ext4, xfs, "
            "btrfs or tmpfs (in a container, a volume), or start the runtime as an ordinary user."
        )
    elif "uid map" in complaint or "Operation not permitted" in complaint or "Permission denied" in complaint:
        if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
            advice = "Allow user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        else:
            advice = (
                "Allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 and "
                "user.max_user_namespaces=10000; in a container, its seccomp profile must pass unshare."
            )
    elif "No space left" in complaint:
        advice = "Raise the bound of namespaces: sysctl -w user.max_user_namespaces=10000"
    return f"A sandbox could not be started: {complaint or 'bubblewrap said nothing'}. {advice}"


def _listen(control_path: Path) -> socket.socket:
    control_path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _short_name(control_path) as name:
        listener.bind(name)
    control_path.chmod(0o600)
    listener.listen(4)
    return listener


class _short_name:  # noqa: N801
    """A socket's name through its open folder: an address holds 108 bytes, a path may be longer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self.folder}/{self.path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)


def _becomes_readable(descriptor: int, seconds: float) -> bool:
    """Wait for it. `select.select` would refuse numbers above 1023, which a busy host has."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


async def _child_pid(told: int) -> int | None:
    """Pid 1 as bubblewrap tells it, or None where it ended before."""
    text = b""
    os.set_blocking(told, False)
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                await _readable(told)
                part = os.read(told, 4096)
                if not part:
                    break
                text += part
    except TimeoutError:
        return None
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
