"""Starting, feeding, signalling and finding the processes of a sandbox.

This speaks through the SDK's generated client, because the SDK's own handles decode output to text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from e2b.connection_config import KEEPALIVE_PING_HEADER
from e2b.envd.process import process_pb
from e2b.envd.utils import timeout_to_ms
from protobuf import Oneof

from commandcenter.providers.attachments import KEEPALIVE_SECONDS, Attachment
from commandcenter.providers.mapping import Subject
from commandcenter.providers.output import OutputStream, ProcessEvents, RunningProcess, opened

# A terminal without these is one in which editors and non-ASCII text fail.
_TERMINAL_ENVS = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
_INPUT_BYTES = 256 * 1024
# Our runtime's own, beside E2B's protocol: see docs/runtime.md.
_OUTPUT_FROM = "Runtime-Output-From"
_OUTPUT_KEPT = "Runtime-Output-Kept"
_KEEPALIVE = {KEEPALIVE_PING_HEADER: str(KEEPALIVE_SECONDS)}


@dataclass(frozen=True, slots=True)
class PtySize:
    """The size of a terminal, in characters."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A process that was started through the provider and still runs."""

    pid: int
    arguments: tuple[str, ...]
    cwd: str | None
    tag: str | None


async def start(
    attachment: Attachment,
    *,
    command: str | None,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
    user: str | None = None,
    stdin: bool = False,
    pty: PtySize | None = None,
    timeout_seconds: float | None = None,
    tag: str | None = None,
    keep_output: bool = False,
) -> RunningProcess:
    """Run `command` by `/bin/bash -l -c`; without one, an interactive shell (which wants a `pty`).

    At `timeout_seconds` the provider ends the process, at E2B not its children: to end all of a command,
    use `process_groups.cancel`. `tag` is shown by `list_processes`, to find the process again after a crash.
    With `keep_output`, where `attachment.continuation` is "replay", output and end are kept until they are
    acknowledged (`acknowledgements`): who does not do so holds the process up.
    """
    arguments = ["-i", "-l"] if command is None else ["-l", "-c", command]
    all_envs = {**(_TERMINAL_ENVS if pty else {}), **(envs or {})}
    return await start_program(
        attachment,
        ["/bin/bash", *arguments],
        cwd=cwd,
        envs=all_envs,
        user=user,
        stdin=stdin,
        pty=pty,
        timeout_seconds=timeout_seconds,
        tag=tag,
        keep_output=keep_output,
    )


async def start_program(
    attachment: Attachment,
    arguments: list[str],
    *,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
    user: str | None = None,
    stdin: bool = False,
    pty: PtySize | None = None,
    timeout_seconds: float | None = None,
    tag: str | None = None,
    keep_output: bool = False,
) -> RunningProcess:
    """Run a program by its path and arguments, without a shell; otherwise as `start`."""
    request = process_pb.StartRequest(
        process=process_pb.ProcessConfig(
            cmd=arguments[0], args=arguments[1:], envs=dict(envs or {}), cwd=cwd
        ),
        pty=_terminal(pty) if pty else None,
        stdin=stdin,
        tag=tag,
    )
    headers = {**attachment.as_user(user), **_KEEPALIVE}
    deadline = timeout_to_ms(timeout_seconds)
    if deadline is not None:
        # As a header alone: the client's own deadline would cut off the last output at the same moment.
        headers["connect-timeout-ms"] = str(deadline)
    if keep_output and attachment.continuation == "replay":
        headers[_OUTPUT_KEPT] = "until-acknowledged"
    events = attachment.processes.start(request, headers=headers)
    return await opened(attachment, cast(ProcessEvents, events), may_time_out=deadline is not None)


async def connect(
    attachment: Attachment, process: int | str, *, taken: Mapping[OutputStream, int] | None = None
) -> RunningProcess:
    """Read on from a process, by its number or its tag; raises `ProcessNotFoundError` once it has ended.

    With `taken`, the bytes of each stream that were read before, the output goes on exactly there, also
    some moments after the process's end, or until that was acknowledged: only where
    `attachment.continuation` is "replay".
    """
    headers = dict(_KEEPALIVE)
    if taken is not None:
        headers[_OUTPUT_FROM] = ",".join(f"{stream}={count}" for stream, count in taken.items())
    request = process_pb.ConnectRequest(process=_selector(process))
    events = attachment.processes.connect(request, headers=headers)
    return await opened(attachment, cast(ProcessEvents, events), may_time_out=True)


async def send_input(
    attachment: Attachment, pid: int, data: bytes, *, to: Literal["stdin", "pty"] = "stdin"
) -> None:
    """Write `data` to a process's stdin or terminal, in order.

    Waits while the process does not read. After a `ProviderTimeoutError` part of `data` may have arrived.
    """
    for position in range(0, len(data), _INPUT_BYTES):
        piece = data[position : position + _INPUT_BYTES]
        content: Any = Oneof(to, piece)
        async with attachment.errors(Subject.PROCESS):
            await attachment.processes.send_input(
                process_pb.SendInputRequest(
                    process=_selector(pid), input=process_pb.ProcessInput(input=content)
                ),
                timeout_ms=timeout_to_ms(attachment.request_seconds),
            )


async def close_stdin(attachment: Attachment, pid: int) -> None:
    """End a process's stdin; a terminal has none to close, it takes Ctrl-D as input."""
    async with attachment.errors(Subject.PROCESS):
        await attachment.processes.close_stdin(
            process_pb.CloseStdinRequest(process=_selector(pid)),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )


async def send_signal(attachment: Attachment, pid: int, signal: Literal["SIGTERM", "SIGKILL"]) -> None:
    """Signal this one process, not its children.

    E2B's agent may drop the output that follows; `process_groups.cancel` does not.
    """
    async with attachment.errors(Subject.PROCESS):
        await attachment.processes.send_signal(
            process_pb.SendSignalRequest(process=_selector(pid), signal=process_pb.Signal[signal]),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )


async def resize(attachment: Attachment, pid: int, size: PtySize) -> None:
    """Tell a process's terminal its new size."""
    async with attachment.errors(Subject.PROCESS):
        await attachment.processes.update(
            process_pb.UpdateRequest(process=_selector(pid), pty=_terminal(size)),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )


async def list_processes(attachment: Attachment) -> list[SandboxProcess]:
    """The processes started through the provider that still run."""
    async with attachment.errors(Subject.PROCESS):
        answer = await attachment.processes.list(
            process_pb.ListRequest(), timeout_ms=timeout_to_ms(attachment.request_seconds)
        )
    return [_process(process) for process in answer.processes]


def _process(process: process_pb.ProcessInfo) -> SandboxProcess:
    config = process.config or process_pb.ProcessConfig()
    return SandboxProcess(
        pid=process.pid,
        arguments=(config.cmd, *config.args),
        cwd=config.cwd if config.has_field("cwd") else None,
        tag=process.tag if process.has_field("tag") else None,
    )


def _selector(process: int | str) -> process_pb.ProcessSelector:
    chosen: Any = Oneof("tag", process) if isinstance(process, str) else Oneof("pid", process)
    return process_pb.ProcessSelector(selector=chosen)


def _terminal(size: PtySize) -> process_pb.PTY:
    return process_pb.PTY(size=process_pb.PTY.Size(cols=size.columns, rows=size.rows))
