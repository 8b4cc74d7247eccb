"""The SDK for asyncio."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from e2b import (
    E2B,
    AsyncSandbox,
    CommandExitException,
    FilesystemEventType,
    FileType,
    NotFoundException,
    PtySize,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)


async def test_a_sandbox_from_its_beginning_to_its_end(client: E2B) -> None:
    async with await client.AsyncSandbox.create(
        "base", timeout=100, metadata={"sdk": "async"}, envs={"GIVEN": "yes"}
    ) as sandbox:
        name = sandbox.sandbox_id
        info = await sandbox.get_info()
        assert (info.sandbox_id, info.template_id, info.metadata) == (name, "base", {"sdk": "async"})
        assert info.end_at - info.started_at == timedelta(seconds=100)
        assert await client.AsyncSandbox.get_info(name) == info
        assert await sandbox.is_running() is True
        assert (await sandbox.commands.run("echo $GIVEN")).stdout == "yes\n"
        await sandbox.set_timeout(200)
        await client.AsyncSandbox.set_timeout(name, 300)
        assert (await sandbox.get_info()).end_at > info.end_at + timedelta(seconds=150)
        assert (await sandbox.get_metrics())[-1].mem_total > 0
        assert (await client.AsyncSandbox.get_metrics(name))[-1].cpu_count >= 1
        assert sandbox.get_host(3000).startswith(f"3000-{name}.")
        pages = client.AsyncSandbox.list(query=SandboxQuery(metadata={"sdk": "async"}), limit=1)
        assert [each.sandbox_id for each in await pages.next_items()] == [name]
        assert not pages.has_next
    assert await client.AsyncSandbox.kill(name) is False
    assert await sandbox.is_running() is False


async def test_a_sandbox_pauses_and_is_connected_to(client: E2B) -> None:
    sandbox = await client.AsyncSandbox.create(timeout=100)
    name = sandbox.sandbox_id
    handle = await sandbox.commands.run("sleep 100", background=True)
    assert await sandbox.pause() is not False
    assert not await client.AsyncSandbox.pause(name)
    assert (await sandbox.get_info()).state == SandboxState.PAUSED
    assert (await sandbox.connect(timeout=100)).sandbox_id == name
    other = await client.AsyncSandbox.connect(name, timeout=100)
    assert [process.pid for process in await other.commands.list()] == [handle.pid]
    assert await client.AsyncSandbox.kill(name) is True
    with pytest.raises(NotFoundException):
        await client.AsyncSandbox.connect(name)


async def test_the_network_is_changed_at_once(box: AsyncSandbox) -> None:
    await box.update_network({"deny_out": ["0.0.0.0/0"]})
    asked = "curl -s -o /dev/null -w '%{http_code}' http://192.0.2.1/"
    assert (await box.commands.run(asked)).stdout == "403"
    info = await box.get_info()
    assert info.network is not None
    assert info.network["deny_out"] == ["0.0.0.0/0"]


async def test_a_command_in_the_foreground(box: AsyncSandbox) -> None:
    heard: list[str] = []
    result = await box.commands.run(
        "echo $A; pwd; echo bad >&2", envs={"A": "a"}, cwd="/tmp", on_stdout=heard.append, user="user"
    )
    assert (result.stdout, result.stderr, result.exit_code) == ("a\n/tmp\n", "bad\n", 0)
    assert "".join(heard) == result.stdout
    with pytest.raises(CommandExitException) as raised:
        await box.commands.run("echo out; exit 4")
    assert (raised.value.exit_code, raised.value.stdout) == (4, "out\n")
    with pytest.raises(TimeoutException):
        await box.commands.run("sleep 60", timeout=0.5)


async def test_a_command_in_the_background(box: AsyncSandbox) -> None:
    heard: list[str] = []
    handle = await box.commands.run(
        "while read line; do echo got $line; done", background=True, stdin=True, on_stdout=heard.append
    )
    assert handle.pid in [process.pid for process in await box.commands.list()]
    assert (handle.exit_code, handle.error) == (None, None)
    await handle.send_stdin("one\n")
    await box.commands.send_stdin(handle.pid, "two\n")
    again = await box.commands.connect(handle.pid)
    await again.disconnect()
    await handle.close_stdin()
    result = await handle.wait()
    assert result.stdout == handle.stdout == "".join(heard) == "got one\ngot two\n"
    assert (result.stderr, result.exit_code, result.error) == ("", 0, None)


async def test_a_command_that_reads_to_the_end(box: AsyncSandbox) -> None:
    handle = await box.commands.run("wc -c", background=True, stdin=True)
    await box.commands.send_stdin(handle.pid, "12345")
    await box.commands.close_stdin(handle.pid)
    assert (await handle.wait()).stdout.strip() == "5"


async def test_a_command_that_is_killed(box: AsyncSandbox) -> None:
    for kill in ("handle", "commands"):
        handle = await box.commands.run("sleep 60", background=True)
        assert await (handle.kill() if kill == "handle" else box.commands.kill(handle.pid)) is True
        with pytest.raises(CommandExitException):
            await handle.wait()
        assert await box.commands.kill(handle.pid) is False


async def test_a_terminal(box: AsyncSandbox) -> None:
    seen = bytearray()
    arrived = asyncio.Event()

    async def take(data: bytes) -> None:
        seen.extend(data)
        if b"40 120\r\n" in seen:
            arrived.set()

    handle = await box.pty.create(PtySize(rows=24, cols=80), on_data=take, envs={"A": "a"}, cwd="/tmp")
    await box.pty.resize(handle.pid, PtySize(rows=40, cols=120))
    await box.pty.send_stdin(handle.pid, b"stty size\n")
    async with asyncio.timeout(10):
        await arrived.wait()
    await handle.disconnect()
    again = await box.pty.connect(handle.pid, on_data=take)
    await box.pty.send_stdin(handle.pid, b"exit 7\n")
    with pytest.raises(CommandExitException) as raised:
        await again.wait()
    assert raised.value.exit_code == 7
    killed = await box.pty.create(PtySize(rows=24, cols=80), on_data=take)
    assert await box.pty.kill(killed.pid) is True
    with pytest.raises(CommandExitException):
        await killed.wait()
    assert await box.pty.kill(killed.pid) is False


async def test_input_that_is_streamed(box: AsyncSandbox) -> None:
    if not hasattr(box.commands, "stream_input"):
        pytest.skip("this SDK doesn't stream input")
    handle = await box.commands.run("cat", background=True, stdin=True)
    async with box.commands.stream_input(handle.pid) as stream:
        for number in range(20):
            await stream.send(f"{number}\n")
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "".join(f"{number}\n" for number in range(20))


async def test_files_are_written_and_read(box: AsyncSandbox) -> None:
    written = await box.files.write("async/one", "text")
    assert (written.name, written.path) == ("one", "/home/user/async/one")
    both: list[Any] = [{"path": "async/two", "data": b"\x00\xff"}, {"path": "async/three", "data": "3"}]
    assert [each.name for each in await box.files.write_files(both)] == ["two", "three"]
    assert await box.files.read("async/one") == "text"
    assert await box.files.read("async/two", format="bytes") == b"\x00\xff"
    parts = [part async for part in await box.files.read("async/one", format="stream")]
    assert b"".join(parts) == b"text"
    info = await box.files.get_info("async/one")
    assert (info.type, info.size, info.owner) == (FileType.FILE, 4, "user")
    with pytest.raises(NotFoundException):
        await box.files.read("async/none")


async def test_directories_are_made_listed_moved_and_removed(box: AsyncSandbox) -> None:
    assert await box.files.make_dir("async-dir/below") is True
    assert await box.files.make_dir("async-dir/below") is False
    await box.files.write("async-dir/below/file", "")
    listed = await box.files.list("async-dir", depth=2)
    assert sorted((each.name, each.type) for each in listed) == [
        ("below", FileType.DIR),
        ("file", FileType.FILE),
    ]
    assert (await box.files.rename("async-dir/below", "async-dir/moved")).name == "moved"
    assert await box.files.exists("async-dir/moved/file") is True
    await box.files.remove("async-dir")
    assert await box.files.exists("async-dir") is False


async def test_a_directory_is_watched(box: AsyncSandbox) -> None:
    await box.files.make_dir("async-watched")
    seen: asyncio.Queue[tuple[str, FilesystemEventType]] = asyncio.Queue()
    handle = await box.files.watch_dir(
        "async-watched", on_event=lambda event: seen.put_nowait((event.name, event.type)), recursive=True
    )
    await box.files.write("async-watched/file", "x")
    async with asyncio.timeout(10):
        while await seen.get() != ("file", FilesystemEventType.WRITE):
            pass
    await handle.stop()  # type: ignore[no-untyped-call]


async def test_links_to_files_need_no_key(box: AsyncSandbox) -> None:
    async with httpx.AsyncClient() as anyone:
        url = box.upload_url("async-linked", use_signature_expiration=60)
        assert (await anyone.post(url, files={"file": b"by link"})).status_code == 200
        url = box.download_url("async-linked", use_signature_expiration=60)
        assert (await anyone.get(url)).text == "by link"
