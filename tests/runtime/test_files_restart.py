"""Files while their sandbox is paused, and while the runtime is killed and comes back."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from e2b import E2B

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture
async def own_runtime() -> AsyncIterator[RuntimeProcess]:
    """A runtime for one test."""
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        yield runtime
        await runtime.stop()


async def test_a_killed_runtime_leaves_whole_files_and_serves_them_when_it_is_back(
    own_runtime: RuntimeProcess,
) -> None:
    e2b = own_runtime.client
    sandbox = await e2b.AsyncSandbox.create(timeout=300)
    await sandbox.files.write("kept/file", "old")
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield os.urandom(100_000)
            begun.set()
            await asyncio.sleep(0)

    upload = asyncio.create_task(sandbox.files.write("kept/file", endless()))
    await begun.wait()
    await own_runtime.kill()
    with pytest.raises(Exception, match=r".+"):
        await upload
    await own_runtime.start()
    e2b = own_runtime.client
    again = await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=300)
    assert await again.files.read("kept/file") == "old"
    # The agent inside notices by itself that nobody sends any more, and removes what it had.
    async with asyncio.timeout(10):
        while (await again.commands.run("ls -A kept")).stdout != "file\n":
            await asyncio.sleep(0.05)
    await again.files.write("kept/file", "new")
    assert await again.files.read("kept/file") == "new"
    assert await again.kill()


@pytest.mark.parametrize("mode", ["full", "filesystem"])
async def test_files_outlast_a_pause(e2b: E2B, mode: str) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=300)
    await sandbox.files.write("kept", "x")
    await sandbox.pause(mode=mode)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="not found"):
        await sandbox.files.read("kept")
    again = await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    assert await again.files.read("kept") == "x"
    await again.files.write("kept", "y")
    assert await again.files.read("kept") == "y"
    await again.kill()
