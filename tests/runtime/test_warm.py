"""Sandboxes that are kept warm: there at once for the next who asks, and nobody's until then."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.runtime import UNPRIVILEGED_USER, RuntimeProcess, runtime_folder


@pytest.fixture(scope="module", params=[None, UNPRIVILEGED_USER])
async def warm(request: pytest.FixtureRequest) -> AsyncIterator[RuntimeProcess]:
    """A runtime that keeps two, and has room for one of its clients' only."""
    user_id = request.param if os.geteuid() == 0 else None
    with runtime_folder(user_id) as state:
        runtime = RuntimeProcess(state, user_id, warm_sandboxes="2", sandbox_limit="1")
        await runtime.start()
        await until_ready(runtime)
        yield runtime
        await runtime.stop()
        assert list((state / "sandboxes").iterdir()) == []


async def counters(runtime: RuntimeProcess) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        counted: dict[str, Any] = (await client.get("/runtime/warm")).json()
        return counted


async def until_ready(runtime: RuntimeProcess) -> None:
    async with asyncio.timeout(20):
        while (await counters(runtime))["ready"] < 2:
            await asyncio.sleep(0.02)


def supervisors(runtime: RuntimeProcess) -> list[int]:
    """The pids of bubblewraps of this runtime."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(runtime.state) in command and "supervisor" in command:
                found.append(int(folder.name))
    return found


async def test_a_warm_sandbox_is_what_its_request_says(warm: RuntimeProcess) -> None:
    before = await counters(warm)
    sandbox = await warm.client.AsyncSandbox.create(timeout=77, metadata={"a": "b"}, envs={"COLOUR": "blue"})
    try:
        assert (await counters(warm))["given"] == before["given"] + 1
        info = await sandbox.get_info()
        assert info.metadata == {"a": "b"}
        assert 70 < (info.end_at - info.started_at).total_seconds() <= 77
        seen = await sandbox.commands.run("echo $COLOUR $E2B_SANDBOX_ID; ls -A ~ | grep -v '^\\.'; true")
        assert seen.stdout == f"blue {sandbox.sandbox_id}\n"
        await sandbox.files.write("mine", "mine")
        (listed,) = await warm.client.AsyncSandbox.list().next_items()
        assert listed.sandbox_id == sandbox.sandbox_id
    finally:
        await sandbox.kill()
    await until_ready(warm)


async def test_no_sandbox_is_given_twice(warm: RuntimeProcess) -> None:
    first = await warm.client.AsyncSandbox.create()
    await first.files.write("of-the-first", "1")
    await first.kill()
    second = await warm.client.AsyncSandbox.create()
    try:
        assert second.sandbox_id != first.sandbox_id
        assert not await second.files.exists("of-the-first")
    finally:
        await second.kill()
    await until_ready(warm)


async def test_warm_sandboxes_count_against_no_limit_and_are_in_no_list(warm: RuntimeProcess) -> None:
    assert await warm.client.AsyncSandbox.list().next_items() == []
    assert len(list((warm.state / "sandboxes").iterdir())) == 2
    for folder in (warm.state / "sandboxes").iterdir():
        assert not await warm.client.AsyncSandbox.kill(folder.name)
    sandbox = await warm.client.AsyncSandbox.create()
    await sandbox.kill()


async def test_a_killed_runtimes_warm_sandboxes_are_ended_by_the_next(warm: RuntimeProcess) -> None:
    left = {folder.name for folder in (warm.state / "sandboxes").iterdir()}
    processes = supervisors(warm)
    await warm.kill()
    await warm.start()
    await until_ready(warm)
    assert not left & {folder.name for folder in (warm.state / "sandboxes").iterdir()}
    assert processes
    assert not set(processes) & set(supervisors(warm))


async def test_one_that_ended_by_itself_is_replaced(warm: RuntimeProcess) -> None:
    lost = next((warm.state / "sandboxes").iterdir())
    os.kill(json.loads((lost / "meta.json").read_text())["pid1"]["pid"], signal.SIGKILL)
    async with asyncio.timeout(10):
        while lost.exists():
            await asyncio.sleep(0.02)
    await until_ready(warm)
    sandbox = await warm.client.AsyncSandbox.create()
    assert (await sandbox.commands.run("echo works")).stdout == "works\n"
    await sandbox.kill()
