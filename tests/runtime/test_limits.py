"""A sandbox's bounds: what misuse costs the sandbox itself, and nobody else. Under both kinds of runtime."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException
from e2b.envd.process import process_connect, process_pb

from tests.fixtures.runtime import RuntimeProcess

MEBIBYTE = 1 << 20
SMALL = {"Runtime-Limits": "memoryMB=128, processes=64"}
# Far above the few milliseconds that it takes on a quiet machine; the benchmarks hold the exact bar.
QUICK_SECONDS = 0.5
FEWEST_COMMANDS = 5


@pytest.fixture(scope="module", params=["as the tests' user", "as an ordinary user"])
def bounding(
    request: pytest.FixtureRequest, runtime: RuntimeProcess, unprivileged_runtime: RuntimeProcess
) -> RuntimeProcess:
    """A runtime with whatever way of limiting its user may use."""
    return runtime if request.param == "as the tests' user" else unprivileged_runtime


@pytest.fixture
async def sandbox(bounding: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    """A small sandbox."""
    sandbox = await bounding.client.AsyncSandbox.create(timeout=120, api_headers=SMALL)
    yield sandbox
    await sandbox.kill()


@pytest.fixture(scope="module")
async def neighbour(bounding: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    """Another sandbox of the same runtime, which nothing may disturb."""
    sandbox = await bounding.client.AsyncSandbox.create(timeout=600)
    yield sandbox
    await sandbox.kill()


async def ask(runtime: RuntimeProcess, path: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        answer: dict[str, Any] = (await client.get(path)).json()
        return answer


async def reached(runtime: RuntimeProcess, sandbox: AsyncSandbox) -> set[str]:
    """Which of its limits a sandbox ran into, as the runtime tells."""
    return set((await ask(runtime, f"/runtime/sandboxes/{sandbox.sandbox_id}"))["limitsReached"])


@asynccontextmanager
async def undisturbed(neighbour: AsyncSandbox) -> AsyncIterator[None]:
    """Meanwhile the neighbour's commands stay quick."""
    taken: list[float] = []
    over = asyncio.Event()

    async def measure() -> None:
        while len(taken) < FEWEST_COMMANDS or not over.is_set():
            begin = time.perf_counter()
            await neighbour.commands.run("true")
            taken.append(time.perf_counter() - begin)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(measure())
        try:
            yield
        finally:
            over.set()
    assert statistics.median(taken) < QUICK_SECONDS


async def test_which_limits_hold_is_shown(bounding: RuntimeProcess) -> None:
    limits = (await ask(bounding, "/runtime/capabilities"))["limits"]
    assert limits["mechanism"] in ("cgroup-v1", "cgroup-v2", "rlimits")
    assert set(limits) >= {"memory", "processes", "processors", "open_files", "disk", "output_rate"}
    assert limits["default"]["memoryMB"] == 1024
    assert limits["largest"]["memoryMB"] >= 1024


async def test_a_fork_bomb_hurts_only_its_own_sandbox(
    bounding: RuntimeProcess, sandbox: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    bomb = await sandbox.commands.run("bomb() { bomb | bomb & }; bomb; sleep 60", background=True, timeout=0)
    async with undisturbed(neighbour):
        async with asyncio.timeout(20):
            while "TOO_MANY_PROCESSES" not in await reached(bounding, sandbox):
                await asyncio.sleep(0.05)
    await bomb.disconnect()


async def test_a_process_that_takes_all_memory_is_ended_and_told(
    bounding: RuntimeProcess, sandbox: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    hog = "python3 -c \"held = [bytearray(b'x' * 1048576) for _ in range(400)]\""
    async with undisturbed(neighbour):
        with pytest.raises(CommandExitException) as raised:
            await sandbox.commands.run(hog)
    assert raised.value.exit_code != 0
    assert (await sandbox.commands.run("echo alive")).stdout == "alive\n"
    if (await ask(bounding, "/runtime/capabilities"))["guarantees"]["memory"]:
        assert raised.value.error in ("signal: killed", "exit status 137")
        assert await reached(bounding, sandbox) == {"OUT_OF_MEMORY"}


async def test_many_processes_together_are_bounded_too(
    bounding: RuntimeProcess, sandbox: AsyncSandbox
) -> None:
    hog = "python3 -c \"import time; held = bytearray(b'x' * 50 * 1048576); time.sleep(2)\" & "
    await sandbox.commands.run(hog * 4 + "wait", timeout=30)
    assert await reached(bounding, sandbox) == {"OUT_OF_MEMORY"}


async def test_scratch_space_is_a_quarter_of_memory(sandbox: AsyncSandbox, neighbour: AsyncSandbox) -> None:
    shown = await sandbox.commands.run("df --output=size -B1M /tmp | tail -1")
    assert shown.stdout.strip() == "32"
    async with undisturbed(neighbour):
        with pytest.raises(CommandExitException, match="No space left"):
            await sandbox.commands.run("head -c 100M /dev/zero > /tmp/fill")
    assert (await sandbox.commands.run("echo alive")).stdout == "alive\n"


async def test_a_process_waits_while_nobody_takes_its_output(
    bounding: RuntimeProcess, sandbox: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    go_on = asyncio.Event()

    async def take_slowly(_: str) -> None:
        await go_on.wait()

    before = _memory_of(bounding.pid)
    async with undisturbed(neighbour):
        handle = await sandbox.commands.run(
            "head -c 100M /dev/zero | tr '\\0' x; echo done > /tmp/done",
            background=True,
            on_stdout=take_slowly,
            retain_output=False,
            timeout=0,
        )
        await asyncio.sleep(1)  # time in which an unbounded reader would have taken it all
        assert _memory_of(bounding.pid) - before < 20 * MEBIBYTE
        waiting = await sandbox.commands.run("ls /tmp/done 2>/dev/null || echo waiting")
        assert waiting.stdout == "waiting\n"
    go_on.set()
    await handle.wait()
    assert _memory_of(bounding.pid) - before < 20 * MEBIBYTE


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
