"""Sandboxes that try to lead the host astray by their files."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from e2b import E2B, AsyncSandbox
from e2b.exceptions import (
    InvalidArgumentException,
    RateLimitException,
    SandboxException,
)

from tests.runtime.downloading import exhausted


async def test_a_link_to_a_file_of_the_host_leads_nowhere(box: AsyncSandbox) -> None:
    await box.commands.run(
        "ln -sf /etc/shadow secret; ln -sfn / root; ln -sf /proc/1/root/etc/shadow through-init; "
        "ln -sfn ../../../../../../../.. up; ln -sf /proc/self/root/etc/shadow through-self"
    )
    for path in (
        "secret",
        "root/etc/shadow",
        "through-init",
        "through-self",
        "up/etc/shadow",
        "../../../../../etc/shadow",
        "/proc/1/root/etc/shadow",
        "/proc/1/cwd/etc/shadow",
        "/proc/self/root/etc/shadow",
    ):
        with pytest.raises(SandboxException, match=r"does not exist|permission denied"):
            await box.files.read(path)


async def test_the_root_that_a_link_shows_is_the_sandboxs_own(box: AsyncSandbox) -> None:
    await box.commands.run("ln -sfn / root")
    names = {entry.name for entry in await box.files.list("root")}
    assert {"etc", "home", "usr"} <= names
    assert not await box.files.exists("root/boot")
    assert await box.files.read("root/etc/passwd") == (await box.commands.run("cat /etc/passwd")).stdout


async def test_a_link_that_changes_all_the_time_never_leads_out(box: AsyncSandbox) -> None:
    await box.files.write("inside/hostname", "inside")
    swap = await box.commands.run(
        "while true; do ln -sfn inside swapped; ln -sfn /etc swapped; ln -sfn /proc/1/root/etc swapped; done",
        background=True,
        timeout=0,
    )
    sandbox_name = (await box.commands.run("cat /etc/hostname")).stdout
    seen = set()
    for _ in range(300):
        try:
            seen.add(await box.files.read("swapped/hostname"))
        except SandboxException as error:
            seen.add(type(error).__name__)
    await swap.kill()
    assert os.uname().nodename + "\n" not in seen
    assert seen <= {"inside", sandbox_name, "FileNotFoundException", "SandboxException"}
    assert "inside" in seen


async def test_writing_through_a_link_out_of_home_stays_in_the_sandbox(box: AsyncSandbox) -> None:
    await box.commands.run("ln -sfn /tmp away; ln -sf /etc/hosts hosts; ln -sf /proc/1/mem init-memory")
    await box.files.write("away/from-inside", "x")
    assert (await box.commands.run("cat /tmp/from-inside")).stdout == "x"
    await box.files.write("hosts", "127.0.0.1 from-inside")
    assert (await box.commands.run("cat /etc/hosts")).stdout == "127.0.0.1 from-inside"
    assert "from-inside" not in Path("/etc/hosts").read_text()
    with pytest.raises(SandboxException, match=r"permission denied|read-only|no such file"):
        await box.files.write("init-memory", "x")


async def test_links_in_a_circle_are_said_so(box: AsyncSandbox) -> None:
    await box.commands.run("ln -sfn circle-b circle-a; ln -sfn circle-a circle-b; ln -sfn . self")
    for operation in (box.files.read, box.files.list, partial(box.files.write, data="x")):
        with pytest.raises(SandboxException, match=r"symbolic links|cyclic symlink"):
            await operation("circle-a")
    assert await box.files.exists("circle-a")
    assert "self" in {entry.name for entry in await box.files.list("/home/user", depth=5)}


async def test_what_is_no_file_is_neither_read_nor_written_nor_waited_for(box: AsyncSandbox) -> None:
    await box.commands.run(
        "mkfifo fifo; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('socket')\""
    )
    async with asyncio.timeout(10):
        for path in ("fifo", "/dev/zero", "/dev/tty", "/dev/null"):
            with pytest.raises(SandboxException):
                await box.files.read(path)
            with pytest.raises(InvalidArgumentException, match="not a regular file"):
                await box.files.write(path, "x")
        with pytest.raises(SandboxException):
            await box.files.read("socket")
    names = {entry.name for entry in await box.files.list("/home/user")}
    assert "fifo" not in names, "the SDK shows only files, directories and links"
    await box.files.remove("fifo")
    assert not await box.files.exists("fifo")


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "/".join(["y" * 200] * 30)])
async def test_a_path_that_cannot_be_is_refused(box: AsyncSandbox, path: str) -> None:
    for operation in (box.files.read, box.files.make_dir, partial(box.files.write, data="x")):
        with pytest.raises(InvalidArgumentException, match=r"NUL|too long|longer than"):
            await operation(path)


async def test_a_killed_file_agent_is_started_again(box: AsyncSandbox) -> None:
    await box.files.write("before", "x")
    for _ in range(3):
        await box.commands.run("pkill -9 -f file_agent")
        refusals = await refusals_until(partial(box.files.read, "before"), "x")
        assert all("file agent ended" in refusal for refusal in refusals)


async def test_a_sandbox_without_room_for_processes_says_so_and_recovers(box: AsyncSandbox) -> None:
    await box.commands.run("pkill -9 -f file_agent")
    bomb = await box.commands.run("while true; do sleep 60 & done", background=True, timeout=0)
    refused = asyncio.create_task(reads_until_refused(box))
    with pytest.raises(RateLimitException, match=r"no room|no free process"):
        await asyncio.wait_for(refused, 30)
    await bomb.kill()
    refusals = await refusals_until(partial(box.files.read, "/etc/hostname"), "sandbox\n")
    assert all("no room" in refusal or "no free process" in refusal for refusal in refusals)


async def reads_until_refused(box: AsyncSandbox) -> None:
    while True:
        await box.files.read("/etc/hostname")


async def refusals_until(read: Callable[[], Awaitable[str]], content: str) -> set[str]:
    """What reading is answered with until it succeeds with this content."""
    refusals = set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await read() == content
            except SandboxException as error:
                refusals.add(str(error))
            else:
                return refusals


async def test_a_stopped_file_agent_holds_nobody_else_up(box: AsyncSandbox, e2b: E2B) -> None:
    other = await e2b.AsyncSandbox.create(timeout=60)
    await box.files.write("stopped", "x")
    await box.commands.run("pkill -STOP -f file_agent")
    stuck = [asyncio.create_task(box.files.read("stopped", request_timeout=60)) for _ in range(20)]
    async with asyncio.timeout(10):
        await other.files.write("free", "x")
        assert await other.files.read("free") == "x"
    await other.kill()
    await box.commands.run("pkill -CONT -f file_agent")
    assert await asyncio.gather(*stuck) == ["x"] * 20


async def test_a_killed_sandbox_breaks_its_downloads(e2b: E2B) -> None:
    doomed = await e2b.AsyncSandbox.create(timeout=60)
    await doomed.commands.run("truncate -s 4G huge")
    content = await doomed.files.read("huge", format="stream")
    await anext(content)
    await doomed.kill()
    with pytest.raises(httpx.HTTPError):
        await asyncio.wait_for(exhausted(content), 20)


async def test_many_transfers_at_once_all_end_well(box: AsyncSandbox) -> None:
    contents = [os.urandom(20_000) for _ in range(200)]
    await asyncio.gather(*(box.files.write(f"many/{n}", content) for n, content in enumerate(contents)))
    read = await asyncio.gather(*(box.files.read(f"many/{n}", format="bytes") for n in range(200)))
    assert [bytes(content) for content in read] == contents
