"""The SDK for callers that wait."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from e2b import (
    E2B,
    CommandExitException,
    FilesystemEventType,
    FileType,
    NotFoundException,
    PtySize,
    Sandbox,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)


def test_a_sandbox_from_its_beginning_to_its_end(client: E2B) -> None:
    with client.Sandbox.create(
        "base", timeout=100, metadata={"sdk": "sync"}, envs={"GIVEN": "yes"}
    ) as sandbox:
        name = sandbox.sandbox_id
        info = sandbox.get_info()
        assert (info.sandbox_id, info.template_id, info.metadata) == (name, "base", {"sdk": "sync"})
        assert info.end_at - info.started_at == timedelta(seconds=100)
        assert client.Sandbox.get_info(name) == info
        assert sandbox.is_running() is True
        assert sandbox.commands.run("echo $GIVEN").stdout == "yes\n"
        sandbox.set_timeout(200)
        client.Sandbox.set_timeout(name, 300)
        assert sandbox.get_info().end_at > info.end_at + timedelta(seconds=150)
        assert sandbox.get_metrics()[-1].mem_total > 0
        assert client.Sandbox.get_metrics(name)[-1].cpu_count >= 1
        assert sandbox.get_host(3000).startswith(f"3000-{name}.")
        pages = client.Sandbox.list(query=SandboxQuery(metadata={"sdk": "sync"}), limit=1)
        assert [each.sandbox_id for each in pages.next_items()] == [name]
        assert not pages.has_next
    assert client.Sandbox.kill(name) is False
    assert sandbox.is_running() is False


def test_a_sandbox_pauses_and_is_connected_to(client: E2B) -> None:
    sandbox = client.Sandbox.create(timeout=100)
    name = sandbox.sandbox_id
    handle = sandbox.commands.run("sleep 100", background=True)
    assert sandbox.pause() is not False
    assert not client.Sandbox.pause(name)
    assert sandbox.get_info().state == SandboxState.PAUSED
    assert sandbox.connect(timeout=100).sandbox_id == name
    other = client.Sandbox.connect(name, timeout=100)
    assert [process.pid for process in other.commands.list()] == [handle.pid]
    assert client.Sandbox.kill(name) is True
    with pytest.raises(NotFoundException):
        client.Sandbox.connect(name)


def test_the_network_is_changed_at_once(sync_box: Sandbox) -> None:
    sync_box.update_network({"deny_out": ["0.0.0.0/0"]})
    asked = "curl -s -o /dev/null -w '%{http_code}' http://192.0.2.1/"
    assert (sync_box.commands.run(asked)).stdout == "403"
    info = sync_box.get_info()
    assert info.network is not None
    assert info.network["deny_out"] == ["0.0.0.0/0"]


def test_a_command_in_the_foreground(sync_box: Sandbox) -> None:
    heard: list[str] = []
    result = sync_box.commands.run(
        "echo $A; pwd; echo bad >&2", envs={"A": "a"}, cwd="/tmp", on_stdout=heard.append, user="user"
    )
    assert (result.stdout, result.stderr, result.exit_code) == ("a\n/tmp\n", "bad\n", 0)
    assert "".join(heard) == result.stdout
    with pytest.raises(CommandExitException) as raised:
        sync_box.commands.run("echo out; exit 4")
    assert (raised.value.exit_code, raised.value.stdout) == (4, "out\n")
    with pytest.raises(TimeoutException):
        sync_box.commands.run("sleep 60", timeout=0.5)


def test_a_command_in_the_background(sync_box: Sandbox) -> None:
    heard: list[str] = []
    handle = sync_box.commands.run("while read line; do echo got $line; done", background=True, stdin=True)
    assert handle.pid in [process.pid for process in sync_box.commands.list()]
    handle.send_stdin("one\n")
    sync_box.commands.send_stdin(handle.pid, "two\n")
    again = sync_box.commands.connect(handle.pid)
    again.disconnect()
    handle.close_stdin()
    result = handle.wait(on_stdout=heard.append)
    assert result.stdout == "".join(heard) == "got one\ngot two\n"
    assert (result.stderr, result.exit_code) == ("", 0)


def test_a_command_that_reads_to_the_end(sync_box: Sandbox) -> None:
    handle = sync_box.commands.run("wc -c", background=True, stdin=True)
    sync_box.commands.send_stdin(handle.pid, "12345")
    sync_box.commands.close_stdin(handle.pid)
    assert handle.wait().stdout.strip() == "5"


def test_a_command_that_is_killed(sync_box: Sandbox) -> None:
    for kill in ("handle", "commands"):
        handle = sync_box.commands.run("sleep 60", background=True)
        assert (handle.kill() if kill == "handle" else sync_box.commands.kill(handle.pid)) is True
        with pytest.raises(CommandExitException):
            handle.wait()
        assert sync_box.commands.kill(handle.pid) is False


def test_a_terminal(sync_box: Sandbox) -> None:
    seen = bytearray()
    handle = sync_box.pty.create(PtySize(rows=24, cols=80), envs={"A": "a"}, cwd="/tmp")
    sync_box.pty.resize(handle.pid, PtySize(rows=40, cols=120))
    sync_box.pty.send_stdin(handle.pid, b"stty size; pwd; echo $A\n")
    for _, _, data in handle:
        seen += data or b""
        if b"40 120\r\n/tmp\r\na\r\n" in seen:
            break
    handle.disconnect()
    again = sync_box.pty.connect(handle.pid)
    sync_box.pty.send_stdin(handle.pid, b"exit 7\n")
    with pytest.raises(CommandExitException) as raised:
        again.wait(on_pty=lambda _: None)
    assert raised.value.exit_code == 7
    killed = sync_box.pty.create(PtySize(rows=24, cols=80))
    assert sync_box.pty.kill(killed.pid) is True
    with pytest.raises(CommandExitException):
        killed.wait()
    assert sync_box.pty.kill(killed.pid) is False


def test_input_that_is_streamed(sync_box: Sandbox) -> None:
    if not hasattr(sync_box.commands, "stream_input"):
        pytest.skip("this SDK doesn't stream input")
    handle = sync_box.commands.run("cat", background=True, stdin=True)
    sync_box.commands.stream_input(handle.pid, (f"{number}\n" for number in range(20)))
    handle.close_stdin()
    assert handle.wait().stdout == "".join(f"{number}\n" for number in range(20))


def test_files_are_written_and_read(sync_box: Sandbox) -> None:
    files = sync_box.files
    written = files.write("sync/one", "text")
    assert (written.name, written.path) == ("one", "/home/user/sync/one")
    both: list[Any] = [{"path": "sync/two", "data": b"\x00\xff"}, {"path": "sync/three", "data": "3"}]
    assert [each.name for each in files.write_files(both)] == ["two", "three"]
    assert files.read("sync/one") == "text"
    assert files.read("sync/two", format="bytes") == b"\x00\xff"
    assert b"".join(files.read("sync/one", format="stream")) == b"text"
    info = files.get_info("sync/one")
    assert (info.type, info.size, info.owner) == (FileType.FILE, 4, "user")
    with pytest.raises(NotFoundException):
        files.read("sync/none")


def test_directories_are_made_listed_moved_and_removed(sync_box: Sandbox) -> None:
    files = sync_box.files
    assert files.make_dir("sync-dir/below") is True
    assert files.make_dir("sync-dir/below") is False
    files.write("sync-dir/below/file", "")
    listed = files.list("sync-dir", depth=2)
    assert sorted((each.name, each.type) for each in listed) == [
        ("below", FileType.DIR),
        ("file", FileType.FILE),
    ]
    assert files.rename("sync-dir/below", "sync-dir/moved").name == "moved"
    assert files.exists("sync-dir/moved/file") is True
    files.remove("sync-dir")
    assert files.exists("sync-dir") is False


def test_a_directory_is_watched(sync_box: Sandbox) -> None:
    sync_box.files.make_dir("sync-watched")
    handle = sync_box.files.watch_dir("sync-watched", recursive=True)
    sync_box.files.write("sync-watched/file", "x")
    events = [(event.name, event.type) for event in handle.get_new_events()]
    assert ("file", FilesystemEventType.WRITE) in events
    handle.stop()


def test_links_to_files_need_no_key(sync_box: Sandbox) -> None:
    with httpx.Client() as anyone:
        url = sync_box.upload_url("sync-linked", use_signature_expiration=60)
        assert anyone.post(url, files={"file": b"by link"}).status_code == 200
        url = sync_box.download_url("sync-linked", use_signature_expiration=60)
        assert anyone.get(url).text == "by link"
