"""A sandbox's bounds: what misuse costs the sandbox itself, and nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException
from e2b.envd.process import process_connect, process_pb

from tests.fixtures.runtime import UNPRIVILEGED_USER, RuntimeProcess, runtime_folder

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module", params=["as the tests' user", "as an ordinary user"])
async def small(request: pytest.FixtureRequest) -> AsyncIterator[RuntimeProcess]:
    """A runtime of small sandboxes, with whatever way of limiting its user may use."""
    ordinary = request.param == "as an ordinary user" and Path("/proc/self").stat().st_uid == 0
    user_id = UNPRIVILEGED_USER if ordinary else None
    with runtime_folder(user_id) as state:
        runtime = RuntimeProcess(state, user_id, sandbox_memory=str(128 * MEBIBYTE), sandbox_processes="64")
        await runtime.start()
        yield runtime
        await runtime.stop()


@pytest.fixture
async def sandbox(small: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    sandbox = await small.client.AsyncSandbox.create(timeout=120)
    yield sandbox
    await sandbox.kill()


async def ask(runtime: RuntimeProcess, path: str) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        answer: dict[str, object] = (await client.get(path)).json()
        return answer


async def test_which_limits_hold_is_shown(small: RuntimeProcess) -> None:
    shown = await ask(small, "/runtime/capabilities")
    limits = shown["limits"]
    assert isinstance(limits, dict)
    assert limits["mechanism"] in ("cgroup-v1", "cgroup-v2", "rlimits")
    assert set(limits) >= {"mechanism", "memory", "processes", "processors", "open_files", "output_rate"}
    assert limits["default"]["memoryMB"] == 128
    assert limits["largest"]["memoryMB"] >= 128


async def test_a_fork_bomb_hurts_only_its_own_sandbox(small: RuntimeProcess, sandbox: AsyncSandbox) -> None:
    neighbour = await small.client.AsyncSandbox.create(timeout=120)
    bomb = await sandbox.commands.run("bomb() { bomb | bomb & }; bomb; sleep 60", background=True, timeout=0)
    for _ in range(20):
        begin = time.perf_counter()
        assert (await neighbour.commands.run("echo fine")).stdout == "fine\n"
        assert time.perf_counter() - begin < 2
    await bomb.disconnect()
    await neighbour.kill()


async def test_a_process_that_takes_all_memory_is_ended_and_told(
    small: RuntimeProcess, sandbox: AsyncSandbox
) -> None:
    hog = "python3 -c \"held = [bytearray(b'x' * 1048576) for _ in range(400)]\""
    with pytest.raises(CommandExitException) as raised:
        await sandbox.commands.run(hog)
    assert raised.value.exit_code != 0
    assert (await sandbox.commands.run("echo alive")).stdout == "alive\n"
    limits = (await ask(small, "/runtime/capabilities"))["limits"]
    assert isinstance(limits, dict)
    if limits["memory"] == "cgroup":
        told = await ask(small, f"/runtime/sandboxes/{sandbox.sandbox_id}")
        assert told["outOfMemoryKills"] == 1
        assert raised.value.error in ("signal: killed", "exit status 137")


async def test_many_processes_together_are_bounded_too(small: RuntimeProcess, sandbox: AsyncSandbox) -> None:
    hog = "python3 -c \"import time; held = bytearray(b'x' * 50 * 1048576); time.sleep(4)\" & "
    await sandbox.commands.run(hog * 4 + "wait", timeout=30)
    told = await ask(small, f"/runtime/sandboxes/{sandbox.sandbox_id}")
    kills = told["outOfMemoryKills"]
    assert isinstance(kills, int)
    assert kills >= 1


async def test_scratch_space_is_a_quarter_of_memory(sandbox: AsyncSandbox) -> None:
    shown = await sandbox.commands.run("df --output=size -B1M /tmp | tail -1")
    assert shown.stdout.strip() == "32"
    with pytest.raises(CommandExitException, match="No space left"):
        await sandbox.commands.run("head -c 100M /dev/zero > /tmp/fill")
    assert (await sandbox.commands.run("echo alive")).stdout == "alive\n"


async def test_a_process_waits_while_nobody_takes_its_output(runtime: RuntimeProcess) -> None:
    sandbox = await runtime.client.AsyncSandbox.create(timeout=120)
    go_on = asyncio.Event()

    async def take_slowly(_: str) -> None:
        await go_on.wait()

    before = _memory_of(runtime.pid)
    handle = await sandbox.commands.run(
        "head -c 300M /dev/zero | tr '\\0' x; echo done > /tmp/done",
        background=True,
        on_stdout=take_slowly,
        retain_output=False,
        timeout=0,
    )
    await asyncio.sleep(1)  # time in which an unbounded reader would have taken it all
    assert _memory_of(runtime.pid) - before < 20 * MEBIBYTE
    assert (await sandbox.commands.run("ls /tmp/done 2>/dev/null || echo waiting")).stdout == "waiting\n"
    go_on.set()
    await handle.wait()
    assert _memory_of(runtime.pid) - before < 20 * MEBIBYTE
    await sandbox.kill()


async def test_a_gigabyte_streams_in_flat_memory(runtime: RuntimeProcess) -> None:
    sandbox = await runtime.client.AsyncSandbox.create(timeout=120)
    await sandbox.commands.run("true")
    before = _memory_of(runtime.pid)
    taken = 0
    config = process_pb.ProcessConfig(cmd="/usr/bin/head", args=["-c", "1G", "/dev/zero"])
    headers = {"e2b-sandbox-id": sandbox.sandbox_id, "x-access-token": sandbox._envd_access_token or ""}
    async with process_connect.ProcessClient(runtime.url) as client:
        async for answer in client.start(process_pb.StartRequest(process=config), headers=headers):
            event = answer.event.event if answer.event is not None else None
            if event is not None and event.field == "data" and event.value.output is not None:
                taken += len(event.value.output.value)
    assert taken == 1 << 30
    assert _memory_of(runtime.pid) - before < 20 * MEBIBYTE
    await sandbox.kill()


def _memory_of(pid: int) -> int:
    """The most that a process has held in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
