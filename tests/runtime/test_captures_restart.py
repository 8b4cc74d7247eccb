"""Forks and snapshots of a runtime that is full, and of one that is killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from e2b import AsyncSandbox, SandboxException
from e2b.exceptions import RateLimitException

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture(scope="module")
async def small_runtime() -> AsyncIterator[RuntimeProcess]:
    """A runtime with room for four sandboxes, that may be killed."""
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, sandbox_limit="4")
        await runtime.start()
        yield runtime
        await runtime.stop()


def layers_of(runtime: RuntimeProcess) -> list[Path]:
    """Those that can be found; others are on their way out."""
    found = (runtime.state / "layers").iterdir()
    return [each for each in found if not each.name.startswith(("new-", "old-"))]


async def until_frozen(runtime: RuntimeProcess, sandbox: AsyncSandbox) -> Path:
    """Until a sandbox is being copied; gives its record."""
    record = runtime.state / "sandboxes" / sandbox.sandbox_id / "meta.json"
    async with asyncio.timeout(10):
        while b'"frozen":true' not in record.read_bytes():
            await asyncio.sleep(0)
    return record


async def test_a_fork_that_there_is_no_room_for_fails_by_itself(small_runtime: RuntimeProcess) -> None:
    parent = await small_runtime.client.AsyncSandbox.create(timeout=60)
    other = await small_runtime.client.AsyncSandbox.create(timeout=60)
    with pytest.raises(SandboxException, match="Count must be lower than the maximum number"):
        await parent.fork(count=4)
    forks = await parent.fork(timeout=60, count=3)
    failed = [each for each in forks if isinstance(each, Exception)]
    children = [each for each in forks if isinstance(each, AsyncSandbox)]
    assert [type(each) for each in failed] == [RateLimitException]
    assert "maximum number of concurrent sandboxes (4)" in str(failed[0])
    await asyncio.gather(*(each.kill() for each in (parent, other, *children)))


async def test_disk_use_of_layers_is_shown_once_however_many_lie_on_them(
    small_runtime: RuntimeProcess,
) -> None:
    parent = await small_runtime.client.AsyncSandbox.create(timeout=60)
    await parent.commands.run("head -c 20M /dev/urandom > big")
    forks = await parent.fork(timeout=60, count=2)
    headers = {"X-API-Key": small_runtime.api_key}
    async with httpx.AsyncClient(base_url=small_runtime.url, headers=headers) as client:
        shown = (await client.get("/runtime/disk")).json()
    assert shown["layers"]["count"] == 1
    assert 20 << 20 < shown["layers"]["bytes"] < 21 << 20
    # Those with a file system of their own take their room when that is written.
    assert shown["sandboxes"]["bytes"] > 0
    assert shown["volumes"]["count"] == 0
    assert shown["freeBytes"] > 0
    await asyncio.gather(*(each.kill() for each in (parent, *forks) if isinstance(each, AsyncSandbox)))


async def test_a_sandbox_that_was_frozen_when_its_runtime_was_killed_goes_on(
    small_runtime: RuntimeProcess,
) -> None:
    parent = await small_runtime.client.AsyncSandbox.create(timeout=600)
    await parent.commands.run("head -c 300M /dev/zero > big; for i in $(seq 300); do echo > $i; done")
    forking = asyncio.ensure_future(parent.fork())
    record = await until_frozen(small_runtime, parent)
    await small_runtime.kill()
    await asyncio.gather(forking, return_exceptions=True)
    await small_runtime.start()
    again = await small_runtime.client.AsyncSandbox.connect(parent.sandbox_id)
    assert (await again.commands.run("ls | wc -l")).stdout == "301\n"
    assert b'"frozen":false' in record.read_bytes()
    assert layers_of(small_runtime) == [], "what was half copied is gone"
    await again.kill()


async def test_what_is_started_while_a_sandbox_is_copied_is_in_no_copy(
    small_runtime: RuntimeProcess,
) -> None:
    parent = await small_runtime.client.AsyncSandbox.create(timeout=600)
    await parent.commands.run("head -c 300M /dev/zero > big")
    forking = asyncio.ensure_future(parent.fork())
    await until_frozen(small_runtime, parent)
    late = asyncio.gather(parent.commands.run("touch late; ls"), parent.files.write("later", ""))
    (child,) = await forking
    assert isinstance(child, AsyncSandbox)
    assert (await child.commands.run("ls")).stdout == "big\n"
    assert "late\n" in (await late)[0].stdout
    await asyncio.gather(parent.kill(), child.kill())


async def test_snapshots_outlive_the_runtime_and_layers_that_nobody_uses_do_not(
    small_runtime: RuntimeProcess,
) -> None:
    sandbox = await small_runtime.client.AsyncSandbox.create(timeout=600)
    await sandbox.files.write("file", "content")
    snapshot = await sandbox.create_snapshot()
    await small_runtime.kill()
    (small_runtime.state / "layers" / "lunused").mkdir()
    await small_runtime.start()
    assert len(layers_of(small_runtime)) == 1
    made = await small_runtime.client.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)
    assert await made.files.read("file") == "content"
    assert await small_runtime.client.AsyncSandbox.delete_snapshot(snapshot.snapshot_id) is True
    assert len(layers_of(small_runtime)) == 1, "the sandbox made from it uses them"
    await made.kill()
    assert layers_of(small_runtime) == []
    again = await small_runtime.client.AsyncSandbox.connect(sandbox.sandbox_id)
    assert await again.files.read("file") == "content"
    await again.kill()
