"""E2B's `process.Process`: start processes in a sandbox, take their output, write to them, signal them."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from e2b.envd.process import process_pb as pb
from starlette.types import Receive, Scope, Send

from runtime.data_plane.connect_protocol import Call, ConnectError
from runtime.data_plane.process_stream import stream_events
from runtime.data_plane.routing import answer_json, not_found, sandbox_of
from runtime.data_plane.users import resolve, user_of
from runtime.host.accounts import Account
from runtime.host.attachment import Attachment
from runtime.host.errors import SandboxGoneError, SupervisorError
from runtime.host.process import STREAM_NAMES, InputClosedError, Process, ProcessRequest
from runtime.host.sandbox import Sandbox

PREFIX = "/process.Process/"
OUTPUT_FROM = b"runtime-output-from"
OUTPUT_KEPT = b"runtime-output-kept"
UNTIL_ACKNOWLEDGED = b"until-acknowledged"
SIGNALS = {pb.Signal.SIGTERM: signal.SIGTERM, pb.Signal.SIGKILL: signal.SIGKILL}

Method = Callable[["ProcessService", Call, Sandbox], Awaitable[None]]


class ProcessService:
    """The service as an ASGI application, behind `DataPlane`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        call = Call.of(scope, receive, send)
        method = METHODS.get(scope["path"].removeprefix(PREFIX))
        if method is None:
            await call.refuse(ConnectError("unimplemented", f"no method {scope['path']}"))
            return
        try:
            await method(self, call, sandbox_of(scope))
        except ConnectError as error:
            if b"connect+" in call.content_type:
                await call.begin_stream()
                await call.end_stream(error)
            else:
                await call.refuse(error)
        except SandboxGoneError:
            await answer_json(send, 502, not_found(sandbox_of(scope).id))

    async def start(self, call: Call, sandbox: Sandbox) -> None:
        """Start a process and stream its events. It lives on when the client goes away.

        With the header `Runtime-Output-Kept: until-acknowledged`, beside E2B's protocol, its output and its
        end are kept until they are acknowledged (`acknowledgements`).
        """
        account = await user_of(call, sandbox)
        request = await call.read_first(pb.StartRequest)
        kept = call.headers.get(OUTPUT_KEPT) == UNTIL_ACKNOWLEDGED
        process, attachment = await _start(sandbox, request, account, call.timeout, until_acknowledged=kept)
        await stream_events(call, process, attachment)

    async def connect(self, call: Call, sandbox: Sandbox) -> None:
        """Stream the events of a process that runs, from now on; of one that just ended, its end.

        With the header `Runtime-Output-From`, beside E2B's protocol, output is given again from offsets.
        """
        request = await call.read_first(pb.ConnectRequest)
        process = _find(sandbox, request.process, ended_too=True)
        offsets = _offsets(call, process)
        attachment = process.attach(offsets)
        process.acknowledge(offsets)
        timer = (
            asyncio.get_running_loop().call_later(call.timeout, attachment.expire) if call.timeout else None
        )
        try:
            await stream_events(call, process, attachment)
        finally:
            if timer is not None:
                timer.cancel()

    async def list_processes(self, call: Call, sandbox: Sandbox) -> None:
        """The processes that were started here and run."""
        await call.read_unary(pb.ListRequest)
        processes = [_info(process) for process in sandbox.processes.values()]
        await call.answer(pb.ListResponse(processes=processes))

    async def send_input(self, call: Call, sandbox: Sandbox) -> None:
        """Write to a process's input or terminal."""
        request = await call.read_unary(pb.SendInputRequest)
        await _write(_find(sandbox, request.process), request.input)
        await call.answer(pb.SendInputResponse())

    async def stream_input(self, call: Call, sandbox: Sandbox) -> None:
        """Write a stream of messages, in their order."""
        process = None
        async for request in call.read_stream(pb.StreamInputRequest):
            event = request.event
            if event is None:
                continue
            if event.field == "start":
                process = _find(sandbox, event.value.process)
            elif event.field == "data":
                if process is None:
                    raise ConnectError("invalid_argument", "the first message must name the process")
                await _write(process, event.value.input)
        await call.begin_stream()
        await call.send_message(pb.StreamInputResponse())
        await call.end_stream()

    async def close_stdin(self, call: Call, sandbox: Sandbox) -> None:
        """Let a process read the end of its input."""
        request = await call.read_unary(pb.CloseStdinRequest)
        process = _find(sandbox, request.process)
        if process.terminal is not None:
            raise ConnectError(
                "failed_precondition", "a process with a terminal has no stdin to close; send \\x04"
            )
        await sandbox.close_input(process)
        await call.answer(pb.CloseStdinResponse())

    async def send_signal(self, call: Call, sandbox: Sandbox) -> None:
        """Signal a process with its group."""
        request = await call.read_unary(pb.SendSignalRequest)
        process = _find(sandbox, request.process)
        number = SIGNALS.get(request.signal)
        if number is None:
            raise ConnectError("unimplemented", f"invalid signal: {request.signal}")
        try:
            await sandbox.signal(process, number)
        except ProcessLookupError as error:
            raise ConnectError("not_found", str(error)) from error
        await call.answer(pb.SendSignalResponse())

    async def update(self, call: Call, sandbox: Sandbox) -> None:
        """Set the size of a process's terminal."""
        request = await call.read_unary(pb.UpdateRequest)
        process = _find(sandbox, request.process)
        if request.pty is not None and request.pty.size is not None:
            try:
                process.resize(*_size(request.pty))
            except InputClosedError as error:
                raise ConnectError("internal", str(error)) from error
        await call.answer(pb.UpdateResponse())


METHODS: dict[str, Method] = {
    "Start": ProcessService.start,
    "Connect": ProcessService.connect,
    "List": ProcessService.list_processes,
    "SendInput": ProcessService.send_input,
    "StreamInput": ProcessService.stream_input,
    "CloseStdin": ProcessService.close_stdin,
    "SendSignal": ProcessService.send_signal,
    "Update": ProcessService.update,
}


async def _start(
    sandbox: Sandbox,
    request: pb.StartRequest,
    account: Account,
    seconds: float | None,
    *,
    until_acknowledged: bool,
) -> tuple[Process, Attachment]:
    config = request.process
    if config is None or not config.cmd:
        raise ConnectError("invalid_argument", "the request names no command")
    directory = resolve(config.cwd, account.home) if config.has_field("cwd") and config.cwd else None
    terminal = request.pty
    wanted = ProcessRequest(
        command=config.cmd,
        arguments=tuple(config.args),
        environment=dict(config.envs),
        directory=directory,
        tag=request.tag if request.has_field("tag") else None,
        stdin=request.stdin if request.has_field("stdin") else True,
        terminal=_size(terminal) if terminal is not None else None,
        # The client's timeout is the process's: it ends then, whether or not the client is still there.
        deadline=time.time() + seconds if seconds else None,
        until_acknowledged=until_acknowledged,
        user=account.name,
    )
    if any(
        "\0" in part
        for part in (wanted.command, *wanted.arguments, *wanted.environment.values(), directory or "")
    ):
        raise ConnectError("invalid_argument", "a command, argument or variable can't hold a NUL byte")
    if any(not name or set(name) & {"=", "\0"} for name in wanted.environment):
        raise ConnectError("invalid_argument", "a variable's name can't be empty or hold '=' or a NUL byte")
    try:
        process = await sandbox.start_process(wanted)
    except SupervisorError as error:
        if str(error) == "cwd":
            raise ConnectError(
                "invalid_argument", f"cwd '{directory or account.home}' does not exist"
            ) from error
        raise ConnectError(
            "invalid_argument", f"error starting process '{config.cmd}': {str(error).lower()}"
        ) from error
    # What it wrote since is in the rings: nothing is lost, however fast it was.
    return process, process.attach(dict.fromkeys(STREAM_NAMES, 0))


def _find(sandbox: Sandbox, selector: pb.ProcessSelector | None, *, ended_too: bool = False) -> Process:
    chosen = selector.selector if selector is not None else None
    if chosen is None:
        raise ConnectError("invalid_argument", "the request selects no process")
    if chosen.field == "pid":
        process = sandbox.processes.get(chosen.value)
        if process is None and ended_too:
            process = next(
                (each for each in reversed([*sandbox.ended_processes]) if each.pid == chosen.value), None
            )
    else:
        process = sandbox.tagged(chosen.value, ended_too=ended_too)
    if process is None:
        raise ConnectError("not_found", f"process with {chosen.field} {chosen.value} not found")
    return process


def _info(process: Process) -> pb.ProcessInfo:
    request = process.request
    config = pb.ProcessConfig(cmd=request.command, args=[*request.arguments], envs=request.environment)
    if request.directory is not None:
        config.cwd = request.directory
    info = pb.ProcessInfo(config=config, pid=process.pid)
    if request.tag is not None:
        info.tag = request.tag
    return info


def _offsets(call: Call, process: Process) -> dict[str, int]:
    """From where to give output again, as `Runtime-Output-From: stdout=1200,stderr=0` asks."""
    offsets = {}
    for part in call.headers.get(OUTPUT_FROM, b"").decode("latin-1").split(","):
        name, _, number = part.strip().partition("=")
        if not name:
            continue
        stream = next((each for each in process.streams if each.name == name), None)
        if stream is None or not number.isdigit() or len(number) > 18:
            raise ConnectError(
                "invalid_argument", f"Runtime-Output-From: '{part}' is no offset of this process"
            )
        if not stream.ring.start <= int(number) <= stream.ring.end:
            kept = f"{stream.ring.start} to {stream.ring.end}"
            raise ConnectError("out_of_range", f"{name} is kept from {kept}; {number} is not there")
        offsets[name] = int(number)
    return offsets


async def _write(process: Process, given: pb.ProcessInput | None) -> None:
    chosen = given.input if given is not None else None
    if chosen is None:
        raise ConnectError("invalid_argument", "the request holds no input")
    try:
        await process.write(chosen.value, terminal=chosen.field == "pty")
    except InputClosedError as error:
        raise ConnectError("internal", f"error writing to {chosen.field}: {error}") from error


def _size(terminal: pb.PTY) -> tuple[int, int]:
    size = terminal.size
    rows, columns = (size.rows, size.cols) if size is not None else (24, 80)
    if not (0 <= rows < 1 << 16 and 0 <= columns < 1 << 16):
        raise ConnectError("invalid_argument", "a terminal has at most 65535 rows and columns")
    return rows, columns
