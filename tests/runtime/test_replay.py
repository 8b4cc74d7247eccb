"""Output given again from an offset, to a client that was cut off or comes back after a crash."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Literal

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b import AsyncSandbox, CommandExitException
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import ProcessClient
from protobuf import Oneof

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture
async def processes(runtime: RuntimeProcess) -> AsyncIterator[ProcessClient]:
    async with ProcessClient(runtime.url) as client:
        yield client


def headers(sandbox: AsyncSandbox, **more: str) -> Mapping[str, str]:
    token = sandbox._envd_access_token or ""
    return {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token, **more}


async def again(client: ProcessClient, sandbox: AsyncSandbox, pid: int, offsets: str) -> bytes:
    """All of a process's stdout from an offset to its end."""
    request = pb.ConnectRequest(process=pb.ProcessSelector(selector=Oneof[Literal["pid"], int]("pid", pid)))
    taken = b""
    async for answer in client.connect(request, headers=headers(sandbox, **{"Runtime-Output-From": offsets})):
        event = answer.event.event if answer.event is not None else None
        if event is not None and event.field == "data":
            output = event.value.output
            assert output is not None
            if output.field == "stdout":
                taken += output.value
    return taken


async def test_an_ended_process_gives_its_output_again(
    sandbox: AsyncSandbox, processes: ProcessClient
) -> None:
    handle = await sandbox.commands.run("seq 1 1000; echo err >&2", background=True)
    whole = (await handle.wait()).stdout.encode()
    assert await again(processes, sandbox, handle.pid, "stdout=0,stderr=0") == whole
    assert await again(processes, sandbox, handle.pid, "stdout=1000") == whole[1000:]
    assert await again(processes, sandbox, handle.pid, f"stdout={len(whole)}") == b""


async def test_a_running_process_gives_what_was_and_then_what_comes(
    sandbox: AsyncSandbox, processes: ProcessClient
) -> None:
    handle = await sandbox.commands.run("echo one; read line; echo two", background=True, stdin=True)
    await handle.disconnect()
    await sandbox.commands.send_stdin(handle.pid, "\n")
    assert await again(processes, sandbox, handle.pid, "stdout=0") == b"one\ntwo\n"


async def test_what_a_loud_process_left_in_its_pipe_is_kept_when_nobody_took_it(
    sandbox: AsyncSandbox, processes: ProcessClient
) -> None:
    handle = await sandbox.commands.run(
        "read line; head -c 560K /dev/urandom | tee copy", background=True, stdin=True
    )
    await handle.disconnect()
    await sandbox.commands.send_stdin(handle.pid, "\n")
    async with asyncio.timeout(10):
        while handle.pid in [process.pid for process in await sandbox.commands.list()]:
            await asyncio.sleep(0.02)
    taken = await again(processes, sandbox, handle.pid, "stdout=0")
    assert taken == bytes(await sandbox.files.read("copy", format="bytes"))


async def test_what_is_no_longer_kept_is_said(sandbox: AsyncSandbox, processes: ProcessClient) -> None:
    handle = await sandbox.commands.run("head -c 3M /dev/zero; echo end", background=True)
    await handle.wait()
    end = (3 << 20) + 4
    with pytest.raises(
        ConnectError, match=f"stdout is kept from {end - (1 << 20)} to {end}; 5 is not there"
    ) as raised:
        await again(processes, sandbox, handle.pid, "stdout=5")
    assert raised.value.code is Code.OUT_OF_RANGE
    assert (await again(processes, sandbox, handle.pid, f"stdout={end - 4}")) == b"end\n"


@pytest.mark.parametrize("offsets", ["stdout=x", "pty=0", "stdout=-1", "nothing"])
async def test_an_offset_that_is_none_is_refused(
    sandbox: AsyncSandbox, processes: ProcessClient, offsets: str
) -> None:
    handle = await sandbox.commands.run("true", background=True)
    await handle.wait()
    with pytest.raises(ConnectError, match="is no offset of this process") as raised:
        await again(processes, sandbox, handle.pid, offsets)
    assert raised.value.code is Code.INVALID_ARGUMENT


async def test_not_a_byte_is_lost_when_the_runtime_is_killed() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=300)
        config = pb.ProcessConfig(cmd="/usr/bin/seq", args=["1", "500000"])
        taken = b""
        pid = 0
        async with ProcessClient(runtime.url) as client:
            stream = client.start(pb.StartRequest(process=config), headers=headers(sandbox))
            try:
                async for answer in stream:
                    event = answer.event.event if answer.event is not None else None
                    if event is not None and event.field == "start":
                        pid = event.value.pid
                    if event is not None and event.field == "data" and event.value.output is not None:
                        taken += event.value.output.value
                    if len(taken) > 1_000_000 and runtime.running:
                        await runtime.kill()
            except ConnectError:
                assert not runtime.running
        await runtime.start()
        async with ProcessClient(runtime.url) as client:
            taken += await again(client, sandbox, pid, f"stdout={len(taken)}")
        assert taken == "".join(f"{number}\n" for number in range(1, 500_001)).encode()
        await runtime.stop()


async def test_the_end_of_a_process_outlives_the_runtime() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=300)
        handle = await sandbox.commands.run("echo said; exit 6", background=True, stdin=True)
        with pytest.raises(CommandExitException):
            await handle.wait()
        await runtime.kill()
        await runtime.start()
        async with ProcessClient(runtime.url) as client:
            assert await again(client, sandbox, handle.pid, "stdout=0") == b"said\n"
        resumed = await runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=300)
        late = await resumed.commands.connect(handle.pid)
        with pytest.raises(CommandExitException) as raised:
            await late.wait()
        assert raised.value.exit_code == 6
        await runtime.stop()
