"""What a sandbox may keep on disk: filled in every way, under both kinds of runtime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from e2b import AsyncSandbox, CommandExitException, CommandResult
from e2b.exceptions import NotEnoughSpaceException

from tests.fixtures.runtime import RuntimeProcess, runtime_folder
from tests.runtime.test_limits import ask, bounding, neighbour, reached, undisturbed

__all__ = ["bounding", "neighbour"]

MEBIBYTE = 1 << 20
SMALL = {"Runtime-Limits": "diskMB=64"}


@pytest.fixture
async def sandbox(bounding: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    """A sandbox with 64 MiB of disk."""
    sandbox = await bounding.client.AsyncSandbox.create(timeout=120, api_headers=SMALL)
    yield sandbox
    await sandbox.kill()


async def firm(runtime: RuntimeProcess) -> bool:
    """Whether the bound holds at every moment; else it is a watch's."""
    return bool((await ask(runtime, "/runtime/capabilities"))["guarantees"]["disk"])


async def until_told(runtime: RuntimeProcess, sandbox: AsyncSandbox) -> None:
    async with asyncio.timeout(15):
        while "OUT_OF_DISK" not in await reached(runtime, sandbox):
            await asyncio.sleep(0.05)


async def test_one_file_that_fills_the_disk_ends_there(
    bounding: RuntimeProcess, sandbox: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    async with undisturbed(neighbour):
        with pytest.raises(CommandExitException) as raised:
            await sandbox.commands.run("head -c 200M /dev/zero > fill")
    if await firm(bounding):
        assert "No space left on device" in raised.value.stderr
    await until_told(bounding, sandbox)
    size = await sandbox.commands.run("stat -c %s fill")
    assert int(size.stdout) <= 72 * MEBIBYTE
    with pytest.raises(NotEnoughSpaceException, match="not enough disk space"):
        await sandbox.files.write("more", "x" * MEBIBYTE)
    await sandbox.commands.run("rm fill")
    async with asyncio.timeout(10):
        while True:
            try:
                await sandbox.files.write("more", "x" * MEBIBYTE)
                break
            except NotEnoughSpaceException:  # the watch looks again by itself
                await asyncio.sleep(0.1)


async def test_many_files_that_fill_the_disk_together_end_too(
    bounding: RuntimeProcess, sandbox: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    writing = "for i in $(seq 400); do head -c 1M /dev/zero > fill$i || exit 9; sleep 0.02; done"
    async with undisturbed(neighbour):
        with pytest.raises(CommandExitException) as raised:
            await sandbox.commands.run(writing, timeout=50)
    await until_told(bounding, sandbox)
    if await firm(bounding):
        assert raised.value.exit_code == 9
    else:
        told = await ask(bounding, f"/runtime/sandboxes/{sandbox.sandbox_id}")
        assert "OUT_OF_DISK" in [each["endReason"] for each in told["endedProcesses"]]
    assert (await sandbox.commands.run("rm -f fill*; echo alive")).stdout == "alive\n"


async def test_files_without_content_are_bounded_in_number(
    bounding: RuntimeProcess, sandbox: AsyncSandbox
) -> None:
    making = "import sys\nfor i in range(30000): open(f'empty{i}', 'w').close()"
    with pytest.raises(CommandExitException):
        await sandbox.commands.run(f'python3 -c "{making}" && sleep 30', timeout=50)
    await until_told(bounding, sandbox)
    # While the watch still sees too much, it ends what is started.
    async with asyncio.timeout(30):
        while (count := await finished(sandbox, "ls | wc -l")) is None:
            await asyncio.sleep(0.2)
    assert 1_000 < int(count.stdout) <= 30_000


async def finished(sandbox: AsyncSandbox, command: str) -> CommandResult | None:
    """What a command gave; None where it was ended."""
    try:
        return await sandbox.commands.run(command)
    except CommandExitException:
        return None


async def test_the_size_of_the_disk_is_shown(bounding: RuntimeProcess, sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("head -c 10M /dev/urandom > ten")
    async with asyncio.timeout(15):
        while (sample := (await sandbox.get_metrics())[-1]).disk_used < 10 * MEBIBYTE:
            await asyncio.sleep(0.1)
    assert sample.disk_total == 64 * MEBIBYTE
    assert sample.disk_used <= 20 * MEBIBYTE
    if await firm(bounding):
        seen = await sandbox.commands.run("df -B1M --output=size / | tail -1")
        assert 60 <= int(seen.stdout) <= 80


async def test_files_are_there_again_after_a_stop_and_after_a_kill() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=120, api_headers=SMALL)
        await sandbox.files.write("kept", "1")
        await runtime.stop()
        assert not [line for line in Path("/proc/mounts").read_text().splitlines() if str(state) in line]
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=120)
        assert await sandbox.files.read("kept") == "1"
        await sandbox.files.write("kept", "2")
        await runtime.kill()
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=120)
        assert await sandbox.files.read("kept") == "2"
        # The sandbox lived on with its file system, which must not be opened a second time.
        images = [each for each in _attached_images() if each.endswith(f"/{sandbox.sandbox_id}/disk.ext4")]
        assert len(images) == 1
        await sandbox.pause(mode="filesystem")
        await runtime.kill()
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=120)
        assert await sandbox.files.read("kept") == "2"
        await sandbox.kill()
        assert not (state / "sandboxes" / sandbox.sandbox_id).exists()
        await runtime.stop()


async def test_a_sandbox_that_ended_holds_no_room_though_later_ones_live(
    bounding: RuntimeProcess, sandbox: AsyncSandbox
) -> None:
    if not await firm(bounding):
        pytest.skip("it has no file system of its own")
    later = await bounding.client.AsyncSandbox.create(timeout=60)
    image = bounding.state / "sandboxes" / sandbox.sandbox_id / "disk.ext4"
    assert str(image) in _attached_images()
    await sandbox.kill()
    async with asyncio.timeout(5):
        while any(str(image) in each for each in _attached_images()):
            await asyncio.sleep(0.02)
    await later.kill()


@pytest.mark.timeout(120)
async def test_a_hundred_thousand_files_are_listed_and_removed(runtime: RuntimeProcess) -> None:
    sandbox, beside = [await runtime.client.AsyncSandbox.create(timeout=120) for _ in range(2)]
    making = "import os\nos.mkdir('/tmp/many')\nfor i in range(100_000): open(f'/tmp/many/{i}', 'w').close()"
    await sandbox.commands.run(f'python3 -c "{making}"', timeout=50)
    async with undisturbed(beside):
        assert len(await sandbox.files.list("/tmp/many", request_timeout=50)) == 100_000
        await sandbox.files.remove("/tmp/many", request_timeout=50)
        assert not await sandbox.files.exists("/tmp/many")
    await sandbox.kill()
    await beside.kill()


def _attached_images() -> list[str]:
    """The files behind the machine's loop devices; that of a removed file is marked so."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # it went away meanwhile
            found.append(backing.read_text().strip())
    return found
