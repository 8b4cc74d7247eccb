import asyncio
import hashlib
import uuid

import pytest

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    OutputInterruptedError,
    ProcessNotFoundError,
    ProviderRefusedError,
    ProviderSandboxGoneError,
)
from commandcenter.providers.output import Output, RunningProcess
from commandcenter.providers.process_groups import cancel
from commandcenter.providers.processes import (
    PtySize,
    close_stdin,
    connect,
    list_processes,
    resize,
    send_input,
    send_signal,
    start,
)
from commandcenter.providers.sandboxes import Provider
from tests.providers.conftest import new_sandbox


async def read(process: RunningProcess) -> tuple[dict[str, bytes], Ended]:
    """All that a process wrote, by stream, and its end."""
    written: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray(), "pty": bytearray()}
    endings = []
    async with process:
        async for event in process:
            match event:
                case Output(stream=stream, data=data):
                    written[stream] += data
                case Ended():
                    endings.append(event)
    assert len(endings) == 1
    return {stream: bytes(data) for stream, data in written.items() if data}, endings[0]


async def run(sandbox: Attachment, command: str) -> tuple[dict[str, bytes], Ended]:
    return await read(await start(sandbox, command=command))


async def until_output(process: RunningProcess, wanted: bytes) -> None:
    """Read on until `wanted` has been written."""
    seen = b""
    async with asyncio.timeout(10):
        while wanted not in seen:
            event = await anext(process)
            assert isinstance(event, Output), f"ended after {seen!r}"
            seen += event.data


async def test_output_arrives_byte_for_byte(sandbox: Attachment) -> None:
    written, end = await run(sandbox, r"printf 'a\x00\xff\xc3\n'; printf '\xe2\x82' >&2")
    assert written == {"stdout": b"a\x00\xff\xc3\n", "stderr": b"\xe2\x82"}
    assert end == Ended(0)


async def test_megabytes_of_noise_arrive_unchanged(sandbox: Attachment) -> None:
    written, end = await run(
        sandbox, "head -c 20000000 /dev/urandom | tee /tmp/noise; sha256sum /tmp/noise >&2"
    )
    assert written["stderr"].split()[0].decode() == hashlib.sha256(written["stdout"]).hexdigest()
    assert len(written["stdout"]) == 20_000_000
    assert end == Ended(0)


@pytest.mark.parametrize("code", [0, 1, 126, 255])
async def test_exit_codes_are_exact(sandbox: Attachment, code: int) -> None:
    assert await run(sandbox, f"exit {code}") == ({}, Ended(code))


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "HUP"])
async def test_signals_are_told_apart_from_exit_codes(sandbox: Attachment, name: str) -> None:
    assert await run(sandbox, f"kill -{name} $$") == ({}, Ended(None, signal=f"SIG{name}"))


async def test_directory_and_environment_are_as_asked(sandbox: Attachment) -> None:
    process = await start(
        sandbox, command='echo "$PWD $FROM_SANDBOX $GIVEN $(whoami)"', cwd="/tmp", envs={"GIVEN": "two words"}
    )
    assert (await read(process))[0] == {"stdout": b"/tmp yes two words user\n"}


async def test_a_user_or_directory_that_is_not_there_is_refused(sandbox: Attachment) -> None:
    with pytest.raises(ProviderRefusedError, match="nobody-known"):
        await start(sandbox, command="true", user="nobody-known")
    with pytest.raises(ProviderRefusedError, match="/not/there"):
        await start(sandbox, command="true", cwd="/not/there")


async def test_input_arrives_byte_for_byte_up_to_its_end(sandbox: Attachment) -> None:
    data = bytes(range(256)) * 4000
    process = await start(sandbox, command="sha256sum", stdin=True)
    await send_input(sandbox, process.pid, data)
    await close_stdin(sandbox, process.pid)
    written, end = await read(process)
    assert written["stdout"].split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert end == Ended(0)


async def test_a_terminal_has_a_size_and_takes_input(sandbox: Attachment) -> None:
    process = await start(sandbox, command=None, pty=PtySize(columns=91, rows=17))
    await send_input(sandbox, process.pid, b"stty size; echo $TERM\n", to="pty")
    await until_output(process, b"17 91\r\nxterm-256color")
    await resize(sandbox, process.pid, PtySize(columns=120, rows=40))
    await send_input(sandbox, process.pid, b"stty size\n", to="pty")
    await until_output(process, b"40 120")
    await send_input(sandbox, process.pid, b"exit 5\n", to="pty")
    assert (await read(process))[1] == Ended(5)


async def test_at_its_deadline_a_process_is_ended_and_said_to_have_timed_out(sandbox: Attachment) -> None:
    process = await start(sandbox, command="echo begun; exec sleep 60", timeout_seconds=0.3)
    written, end = await read(process)
    assert written == {"stdout": b"begun\n"}
    assert end.timed_out
    assert end.exit_code is None


async def test_cancelling_ends_all_that_a_command_started(sandbox: Attachment) -> None:
    mark = uuid.uuid4().hex
    sleeping = f"bash -c 'exec -a {mark} sleep 300'"
    process = await start(
        sandbox, command=f"{sleeping} & setsid {sleeping} & (trap '' TERM; {sleeping}); wait"
    )
    counting = f"while [ $(pgrep -fc 'sleep|{mark} 300') -lt 3 ]; do sleep 0.02; done"
    await run(sandbox, f'timeout 5 bash -c "{counting}"')
    assert await cancel(sandbox, process.pid, grace_seconds=0.3)
    assert (await read(process))[1].exit_code != 0
    assert (await run(sandbox, f"pgrep -f '^{mark}'"))[0] == {}


async def test_cancelling_ends_a_command_that_filled_the_sandbox(provider: Provider) -> None:
    made = await new_sandbox(provider)
    attachment = provider.attach(made.attachment)
    filling = "trap '' TERM; for i in {1..3000}; do sleep 300 & done"
    process = await start(attachment, command=filling)
    await until_output(process, b"Resource temporarily unavailable")
    async with asyncio.timeout(20):
        assert await cancel(attachment, process.pid, grace_seconds=0.1)
        await read(process)
    assert (await run(attachment, "echo room again")) == ({"stdout": b"room again\n"}, Ended(0))
    await provider.kill(made.id)


async def test_cancelling_leaves_time_and_output_to_say_goodbye(sandbox: Attachment) -> None:
    process = await start(
        sandbox, command="trap 'echo goodbye; exit 7' TERM; echo ready; while :; do :; done"
    )
    await until_output(process, b"ready\n")
    assert await cancel(sandbox, process.pid)
    assert await read(process) == ({"stdout": b"goodbye\n"}, Ended(7))


async def test_cancelling_what_has_ended_is_no_error(sandbox: Attachment) -> None:
    process = await start(sandbox, command="true")
    await read(process)
    assert not await cancel(sandbox, process.pid)


async def test_cancelling_one_command_leaves_others_alone(sandbox: Attachment) -> None:
    one, other = [await start(sandbox, command="echo up; sleep 300") for _ in range(2)]
    await until_output(other, b"up")
    assert await cancel(sandbox, one.pid)
    assert other.pid in [process.pid for process in await list_processes(sandbox)]
    assert await cancel(sandbox, other.pid)


async def test_a_signal_reaches_its_process(sandbox: Attachment) -> None:
    process = await start(sandbox, command="exec sleep 300")
    await send_signal(sandbox, process.pid, "SIGKILL")
    assert (await read(process))[1] == Ended(None, signal="SIGKILL")


async def test_a_child_left_behind_does_not_hold_back_the_end(sandbox: Attachment) -> None:
    async with asyncio.timeout(5):
        assert await run(sandbox, "sleep 300 & echo done") == ({"stdout": b"done\n"}, Ended(0))


async def test_a_running_process_is_found_by_its_tag_and_read_on(sandbox: Attachment) -> None:
    tag = str(uuid.uuid4())
    process = await start(sandbox, command="read line; echo got $line; exit 3", stdin=True, tag=tag)
    await process.aclose()
    (found,) = [process for process in await list_processes(sandbox) if process.tag == tag]
    assert found.pid == process.pid
    assert found.arguments[-1] == "read line; echo got $line; exit 3"
    again = await connect(sandbox, found.pid)
    await send_input(sandbox, found.pid, b"it\n")
    assert await read(again) == ({"stdout": b"got it\n"}, Ended(3))


async def test_a_process_that_never_was_is_not_found(sandbox: Attachment) -> None:
    for call in (
        connect(sandbox, 999_999),
        send_input(sandbox, 999_999, b"x"),
        send_signal(sandbox, 999_999, "SIGTERM"),
        close_stdin(sandbox, 999_999),
        resize(sandbox, 999_999, PtySize(80, 24)),
    ):
        with pytest.raises(ProcessNotFoundError):
            await call
    assert not await cancel(sandbox, 999_999)


async def test_a_slow_reader_slows_the_process_and_loses_nothing(sandbox: Attachment) -> None:
    process = await start(sandbox, command="head -c 64000000 /dev/zero; echo written > /tmp/$$")
    first = await anext(process)
    assert isinstance(first, Output)
    await run(sandbox, "sleep 0.3")
    assert (await run(sandbox, f"ls /tmp/{process.pid}"))[1].exit_code != 0, "it must wait for its reader"
    size = len(first.data)
    async for event in process:
        size += len(event.data) if isinstance(event, Output) else 0
    assert size == 64_000_000


async def test_fifty_commands_at_once_keep_their_outputs_apart(sandbox: Attachment) -> None:
    results = await asyncio.gather(*(run(sandbox, f"echo {number}; exit {number}") for number in range(50)))
    assert results == [({"stdout": f"{number}\n".encode()}, Ended(number)) for number in range(50)]


async def test_the_death_of_the_sandbox_is_not_taken_for_the_process_s_end(provider: Provider) -> None:
    made = await new_sandbox(provider)
    attachment = provider.attach(made.attachment)
    process = await start(attachment, command="echo up; sleep 300")
    await until_output(process, b"up")
    assert await provider.kill(made.id)
    with pytest.raises(OutputInterruptedError) as raised:
        await anext(process)
    assert isinstance(raised.value.reason, ProviderSandboxGoneError)
    with pytest.raises(ProviderSandboxGoneError):
        await start(attachment, command="true")
