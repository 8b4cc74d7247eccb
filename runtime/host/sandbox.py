"""A live sandbox: its supervisor, and the processes in it."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from runtime.host import background
from runtime.host.accounts import KNOWN, NAME, ROOT, Account, UnknownUserError
from runtime.host.bubblewrap import PROGRAM_PATH
from runtime.host.ended_processes import EndedProcesses
from runtime.host.errors import SandboxGoneError, SupervisorError
from runtime.host.limits import LimitGroup
from runtime.host.process import Process, ProcessRequest
from runtime.host.process_start import INPUT_PLACE, OutputPolicy, fit_out, take_terminal, take_up, write_card
from runtime.host.record import SandboxRecord
from runtime.host.spawn_request import SpawnRequest
from runtime.host.supervisor_connection import SupervisorConnection
from runtime.network.egress import PROXY_VARIABLES, SandboxEgress

DIAL_SECONDS = 5
HEALTH_SECONDS = 2
STILL_SECONDS = 60
"""For so long a start waits while the sandbox is copied."""


class Sandbox:
    """What can be done inside a running sandbox. `ended` is set when its supervisor is gone."""

    def __init__(
        self, record: SandboxRecord, connection: socket.socket, policy: OutputPolicy, group: LimitGroup
    ) -> None:
        self.record = record
        self.group = group
        """Its bounds, and what it uses."""
        self.egress: SandboxEgress | None = None
        """Its way out; None only in one that was started by a runtime which had none."""
        self.on_lost: Callable[[Sandbox], None] = lambda _: None
        self.on_process: Callable[[Process], None] = lambda _: None
        self.out_of_memory_kills = 0
        self.disk_full = False
        """Whether it has as much on disk as it may."""
        self.disk_was_full = False
        self.ended = asyncio.Event()
        self._moves = asyncio.Event()
        self._moves.set()
        self.processes: dict[int, Process] = {}
        self.ended_processes = EndedProcesses(self._forget)
        self._by_key: dict[str, Process] = {}
        self._own_programs: set[str] = set()
        self.output_rate = policy.rate
        self._policy = policy
        self._supervisor = SupervisorConnection(connection, on_exit=self._exited, on_lost=self._lost)
        self._count = 0

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    async def account(self, name: str) -> Account:
        """A user by name, the default one for no name; `UnknownUserError` where there is none."""
        name = name or self.record.user
        if name in KNOWN:
            return KNOWN[name]
        if self.record.user_id is None:
            raise UnknownUserError(
                f"unknown user {name}; a runtime that root did not start has root and user"
            )
        if NAME.fullmatch(name) is None:
            raise UnknownUserError(f"unknown user {name[:64]}")
        try:
            answer = await self._supervisor.request("account", name)
        except SupervisorError as error:
            raise UnknownUserError(f"unknown user {name}") from error
        return Account.of(name, answer.fields)

    def environment(self, extra: Mapping[str, str], account: Account) -> dict[str, str]:
        """The variables of a process inside; later ones win."""
        return {
            "PATH": PROGRAM_PATH,
            **account.variables(),
            "LANG": "C.UTF-8",
            "E2B_SANDBOX": "true",
            "E2B_SANDBOX_ID": self.id,
            "E2B_TEMPLATE_ID": self.record.template,
            **PROXY_VARIABLES,
            **self.record.environment,
            **extra,
        }

    async def spawn(
        self,
        arguments: Sequence[str],
        *,
        descriptors: Mapping[int, int],
        account: Account = ROOT,
        reaches_every_file: bool = False,
    ) -> tuple[str, int]:
        """Start a program with `descriptors` (its number → ours, which we keep); gives its key and pid.

        For programs of the runtime's own: they are not in the list of processes, and nobody reads their
        output but through the descriptors. `reaches_every_file` lets it pass by the rights of files.
        Raises `SupervisorError` where it can't be started.
        """
        key = self._new_key()
        start = SpawnRequest(
            arguments=arguments,
            variables=self.environment({}, account),
            directory="/",
            places=",".join(str(number) for number in descriptors),
            identity=account.identity(reaches_every_file=reaches_every_file),
        )
        pid, _ = await self._ask_to_spawn(key, start, [*descriptors.values()])
        return key, pid

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

    async def listen(self, port: int) -> socket.socket:
        """A socket that listens on the sandbox's loopback; `SupervisorError` where the port is taken."""
        answer = await self._supervisor.request("listen", int(socket.SOCK_STREAM), port)
        return socket.socket(fileno=answer.only_descriptor())

    async def listen_for_datagrams(self, port: int) -> socket.socket:
        """The same for UDP."""
        answer = await self._supervisor.request("listen", int(socket.SOCK_DGRAM), port)
        return socket.socket(fileno=answer.only_descriptor())

    async def is_redirected(self) -> bool:
        """Whether connections to the outside are turned to us inside."""
        return (await self._supervisor.request("redirected")).fields == [b"1"]

    async def start_process(self, request: ProcessRequest) -> Process:
        """Start a process whose output can be taken; `SupervisorError` where it can't be started."""
        # A caller that goes away must not leave a process behind that nobody knows.
        return await asyncio.shield(asyncio.ensure_future(self._start_process(request)))

    async def take_up_processes(self) -> None:
        """Take up what an earlier runtime started here, with its output and its end."""
        answer = await self._supervisor.request("list")
        for row in answer.fields:
            key, pid, status = row.decode(errors="replace").split(" ")
            kept = (await self._supervisor.request("kept", key)).descriptors
            if not kept:  # a program of the earlier runtime's own, which ends with it
                self._own_programs.add(key)
                if status != "-":
                    self._exited(key, int(status))
                continue
            process = take_up(key, kept, self._policy)
            self._by_key[key] = process
            self._run(process, int(pid))
            if status != "-":
                process.exited(int(status))

    def tagged(self, tag: str, *, ended_too: bool = True) -> Process | None:
        """The process that was started with this tag."""
        candidates = [*self.processes.values(), *(self.ended_processes if ended_too else ())]
        return next((each for each in candidates if each.request.tag == tag), None)

    async def signal(self, process: Process, number: int) -> None:
        """Signal a process with its whole group."""
        try:
            await self._supervisor.request("signal", process.pid, number)
        except SupervisorError as error:
            raise ProcessLookupError(f"process with pid {process.pid} not found") from error

    async def close_input(self, process: Process) -> None:
        """Let a process read the end of its input."""
        process.close_input()
        if process.input_kept:
            process.input_kept = False
            await self._supervisor.request("release", process.key, INPUT_PLACE)

    async def answers(self) -> bool:
        """Whether its supervisor answers, within seconds."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._supervisor.request("list")
        except (TimeoutError, SandboxGoneError, SupervisorError):
            return False
        return True

    async def pause(self) -> None:
        """Stop every process where it stands."""
        self._moves.clear()
        await self._supervisor.request("stop_all")
        self.hold()

    def hold(self) -> None:
        """Its processes stand: their time stands too, and no more are started."""
        self._moves.clear()
        for process in self.processes.values():
            process.pause()

    async def resume(self, paused_seconds: float) -> None:
        """Let every process go on; their deadlines have stood still."""
        try:
            await self._supervisor.request("continue_all")
        finally:
            self._moves.set()
        for process in self.processes.values():
            process.resume(paused_seconds)
            write_card(process)

    async def end_for_want_of_disk(self) -> None:
        """End every process, since one of them has written too much; the sandbox goes on."""
        for process in self.processes.values():
            process.end_reason = "OUT_OF_DISK"
        await self._supervisor.request("kill_all")

    def ran_out_of_memory(self) -> bool:
        """Whether something inside was ended for want of memory since this was last asked."""
        try:
            kills = self.group.out_of_memory_kills()
        except OSError:
            return False
        risen = kills > self.out_of_memory_kills
        self.out_of_memory_kills = kills
        return risen

    def close(self) -> None:
        """Let go of it; whoever takes output learns that the sandbox is gone."""
        self._supervisor.close()
        self._lost()
        # Nobody else may close them again: by then their descriptors belong to others.
        closing = [*self.ended_processes.take_all(), *self.processes.values()]
        self.processes.clear()
        for process in closing:
            process.close()

    async def _start_process(self, request: ProcessRequest) -> Process:
        process = Process(self._new_key(), request)
        self._by_key[process.key] = process
        outfit = fit_out(process, self._policy)
        size = "" if request.terminal is None else f"{request.terminal[0]},{request.terminal[1]}"
        try:
            account = await self.account(request.user)
            start = SpawnRequest(
                arguments=(request.command, *request.arguments),
                variables=self.environment(request.environment, account),
                directory=request.directory or self.record.directory or account.home,
                places=",".join(outfit.places),
                identity=account.identity(),
                terminal_size=size,
            )
            pid, terminals = await self._ask_to_spawn(process.key, start, outfit.passed)
            if terminals:
                take_terminal(process, terminals[0], self._policy)
        except BaseException:
            del self._by_key[process.key]
            process.close()
            raise
        finally:
            outfit.close()
        # Before what comes of it: it may have ended already.
        process.pid = pid
        self.on_process(process)
        self._run(process, pid)
        return process

    def _run(self, process: Process, pid: int) -> None:
        process.on_end = self._process_ended
        process.on_deadline = self._deadline_passed
        self.processes[pid] = process
        process.started(pid)

    def _deadline_passed(self, process: Process) -> None:
        background.add(self._end_expired(process))

    async def _end_expired(self, process: Process) -> None:
        with suppress(ProcessLookupError, SandboxGoneError):
            await self.signal(process, signal.SIGKILL)

    async def _ask_to_spawn(
        self, key: str, start: SpawnRequest, descriptors: Sequence[int]
    ) -> tuple[int, list[int]]:
        await self._move()
        answer = await self._supervisor.request(
            "spawn", *start.fields(), descriptors=descriptors, request=key
        )
        if not answer.fields or not answer.fields[0].isdigit() or len(answer.fields[0]) > 8:
            raise SandboxGoneError("The sandbox's supervisor gave no process id.")
        return int(answer.fields[0]), answer.descriptors

    async def _move(self) -> None:
        """Wait until what is started now would move, and be in no copy half made."""
        try:
            async with asyncio.timeout(STILL_SECONDS):
                while not self._moves.is_set():
                    if self.record.state == "paused":
                        raise SandboxGoneError("The sandbox was paused; resume it.")
                    await self._moves.wait()
        except TimeoutError:
            raise SandboxGoneError("The sandbox is still being copied; try again later.") from None

    def _new_key(self) -> str:
        self._count += 1
        return f"p{struct.unpack('<Q', os.urandom(8))[0]:x}.{self._count}"

    def _exited(self, key: str, wait_status: int) -> None:
        process = self._by_key.get(key)
        if process is not None:
            process.exited(wait_status)
        elif key in self._own_programs:
            self._own_programs.discard(key)
            self._forget(key)

    def _process_ended(self, process: Process) -> None:
        self.processes.pop(process.pid, None)
        self._by_key.pop(process.key, None)
        if process.killed and self.ran_out_of_memory():
            process.end_reason = "OUT_OF_MEMORY"
        self.on_process(process)
        self.ended_processes.add(process)
        if process.input_kept:
            background.add(self._release_input(process))

    def _forget(self, key: str) -> None:
        if not self.ended.is_set():
            background.add(self._forget_in_supervisor(key))

    async def _release_input(self, process: Process) -> None:
        with suppress(SandboxGoneError):
            await self.close_input(process)

    async def _forget_in_supervisor(self, key: str) -> None:
        with suppress(SandboxGoneError):
            await self._supervisor.request("forget", key)

    def _lost(self) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        self._moves.set()
        if self.egress is not None:
            self.egress.close()
        for process in self.processes.values():
            process.lose()
        self.on_lost(self)


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
