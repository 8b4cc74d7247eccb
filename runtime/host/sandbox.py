"""A live sandbox: its supervisor, and the processes in it."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runtime.host import background
from runtime.host.bubblewrap import HOME, PROGRAM_PATH
from runtime.host.errors import SandboxGoneError, SupervisorError
from runtime.host.output import OutputStream, Ring
from runtime.host.process import Process, ProcessRequest
from runtime.host.record import SandboxRecord
from runtime.host.supervisor_connection import SupervisorConnection

ENDED_KEPT_SECONDS = 30
DIAL_SECONDS = 5
PIPE_BYTES = 1 << 18
F_SETPIPE_SZ = 1031


@dataclass(frozen=True)
class OutputPolicy:
    """How output is held: bytes kept of each stream, and whether unattended output is dropped."""

    retained: int
    drop_unattended: bool


class Sandbox:
    """What can be done inside a running sandbox. `ended` is set when its supervisor is gone."""

    def __init__(self, record: SandboxRecord, connection: socket.socket, policy: OutputPolicy) -> None:
        self.record = record
        self.ended = asyncio.Event()
        self.processes: dict[int, Process] = {}
        self.ended_processes: dict[int, Process] = {}
        self._by_key: dict[str, Process] = {}
        self._policy = policy
        self._supervisor = SupervisorConnection(connection, on_exit=self._exited, on_lost=self._lost)
        self._count = 0

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process inside; later ones win."""
        return {
            "PATH": PROGRAM_PATH,
            "HOME": HOME,
            "USER": "user",
            "LOGNAME": "user",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "E2B_SANDBOX": "true",
            "E2B_SANDBOX_ID": self.id,
            "E2B_TEMPLATE_ID": self.record.template,
            **self.record.environment,
            **extra,
        }

    async def spawn(
        self,
        arguments: Sequence[str],
        *,
        descriptors: Mapping[int, int],
        environment: Mapping[str, str] | None = None,
        directory: str = HOME,
    ) -> tuple[str, int]:
        """Start a program with `descriptors` (its number → ours, which we keep); gives its key and pid.

        For programs of the runtime's own: they are not in the list of processes, and nobody reads their
        output but through the descriptors. Raises `SupervisorError` where it can't be started.
        """
        key = self._new_key()
        places = ",".join(str(number) for number in descriptors)
        pid, _ = await self._ask_to_spawn(
            key, arguments, environment or {}, directory, places, [*descriptors.values()]
        )
        return key, pid

    async def open(self, path: str, flags: int, mode: int = 0o644) -> int:
        """Open a path inside, in the sandbox's own view; the descriptor is non-blocking, and the caller's."""
        answer = await self._supervisor.request("open", path, flags, mode)
        return answer.only_descriptor()

    async def dial(self, port: int) -> socket.socket:
        """A connection to a server inside; `ConnectionRefusedError` where none listens."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                answer = await self._supervisor.request("dial", int(family), port)
            except SupervisorError:
                continue
            connection = socket.socket(fileno=answer.only_descriptor())
            if await _connected(connection):
                return connection
            connection.close()
        raise ConnectionRefusedError(f"nothing listens on port {port}")

    async def start_process(self, request: ProcessRequest) -> Process:
        """Start a process whose output can be taken; `SupervisorError` where it can't be started."""
        # A caller that goes away must not leave a process behind that nobody knows.
        return await asyncio.shield(asyncio.ensure_future(self._start_process(request)))

    async def signal(self, process: Process, number: int) -> None:
        """Signal a process with its whole group."""
        try:
            await self._supervisor.request("signal", process.pid, number)
        except SupervisorError as error:
            raise ProcessLookupError(f"process with pid {process.pid} not found") from error

    async def signal_all(self, number: int) -> None:
        """Signal everything inside but the supervisor."""
        await self._supervisor.request("signal_all", number)

    async def close_input(self, process: Process) -> None:
        """Let a process read the end of its input."""
        if process.input is None:
            return
        process.close_input()
        # The supervisor holds the other copy, at the place where `_start_process` put it.
        await self._supervisor.request("release", process.key, 0)

    async def expire_process(self, process: Process) -> None:
        """A process's time is over: end it, and tell its takers of the deadline."""
        process.expire()
        try:
            await self.signal(process, signal.SIGKILL)
        except (ProcessLookupError, SandboxGoneError):
            return

    def close(self) -> None:
        """Let go of it; whoever takes output learns that the sandbox is gone."""
        self._supervisor.close()
        self._lost()
        for process in [*self.ended_processes.values(), *self.processes.values()]:
            process.close()

    async def _start_process(self, request: ProcessRequest) -> Process:
        process = Process(self._new_key(), request)
        self._by_key[process.key] = process
        theirs: list[int] = []
        try:
            if request.terminal is None:
                places, passed = self._make_pipes(process, theirs)
                size = ""
            else:
                places, passed = "", []
                size = f"{request.terminal[0]},{request.terminal[1]}"
            pid, terminals = await self._ask_to_spawn(
                process.key,
                (request.command, *request.arguments),
                request.environment,
                request.directory or HOME,
                places,
                passed,
                size,
            )
            if request.terminal is not None:
                self._take_terminal(process, terminals)
        except BaseException:
            del self._by_key[process.key]
            process.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        process.on_end = self._process_ended
        self.processes[pid] = process
        process.started(pid)
        return process

    def _make_pipes(self, process: Process, theirs: list[int]) -> tuple[str, list[int]]:
        """Pipes and rings of a process: where each goes inside, and what is passed there."""
        passed = []
        places = []
        if process.request.stdin:
            standard_input, process.input = os.pipe()
            os.set_blocking(process.input, False)
            passed += [process.input, standard_input]
            places += ["k", "0"]
        else:
            standard_input = os.open(os.devnull, os.O_RDONLY)
            passed.append(standard_input)
            places.append("0")
        theirs.append(standard_input)
        for number, name in ((1, "stdout"), (2, "stderr")):
            read_end, write_end = os.pipe()
            theirs.append(write_end)
            stream = self._make_stream(process, name, read_end)
            passed += [write_end, read_end, stream.ring.memory_file]
            places += [str(number), "k", "k"]
        return ",".join(places), passed

    def _take_terminal(self, process: Process, terminals: list[int]) -> None:
        if len(terminals) != 1:
            raise SandboxGoneError("The sandbox's supervisor gave no terminal.")
        process.terminal = terminals[0]
        self._make_stream(process, "pty", os.dup(terminals[0]))

    def _make_stream(self, process: Process, name: str, descriptor: int) -> OutputStream:
        stream = OutputStream(
            name,
            descriptor,
            Ring.create(self._policy.retained),
            drop_unattended=self._policy.drop_unattended,
            changed=process.changed,
        )
        process.streams.append(stream)
        return stream

    async def _ask_to_spawn(
        self,
        key: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        places: str,
        descriptors: Sequence[int],
        terminal_size: str = "",
    ) -> tuple[int, list[int]]:
        variables = [f"{name}={value}" for name, value in self.environment(environment).items()]
        answer = await self._supervisor.request(
            "spawn",
            directory,
            "\0".join(arguments),
            "\0".join(variables),
            places,
            terminal_size,
            descriptors=descriptors,
            request=key,
        )
        if not answer.fields or not answer.fields[0].isdigit() or len(answer.fields[0]) > 8:
            raise SandboxGoneError("The sandbox's supervisor gave no process id.")
        return int(answer.fields[0]), answer.descriptors

    def _new_key(self) -> str:
        self._count += 1
        return f"p{struct.unpack('<Q', os.urandom(8))[0]:x}.{self._count}"

    def _exited(self, key: str, wait_status: int) -> None:
        process = self._by_key.get(key)
        if process is not None:
            process.exited(wait_status)
        else:
            self._forget(key)

    def _process_ended(self, process: Process) -> None:
        self.processes.pop(process.pid, None)
        self._by_key.pop(process.key, None)
        self.ended_processes[process.pid] = process
        asyncio.get_running_loop().call_later(ENDED_KEPT_SECONDS, self._drop_ended, process)
        self._forget(process.key)

    def _drop_ended(self, process: Process) -> None:
        if self.ended_processes.get(process.pid) is not process:
            return
        if process.attended:
            asyncio.get_running_loop().call_later(ENDED_KEPT_SECONDS, self._drop_ended, process)
            return
        del self.ended_processes[process.pid]
        process.close()

    def _forget(self, key: str) -> None:
        if not self.ended.is_set():
            background.add(self._forget_in_supervisor(key))

    async def _forget_in_supervisor(self, key: str) -> None:
        with suppress(SandboxGoneError):
            await self._supervisor.request("forget", key)

    def _lost(self) -> None:
        self.ended.set()
        for process in self.processes.values():
            process.lose()


async def _connected(connection: socket.socket) -> bool:
    """Whether a connection that was begun inside came about."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(connection.fileno(), _resolve, ready)
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            await ready
    except TimeoutError:
        return False
    finally:
        loop.remove_writer(connection.fileno())
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
