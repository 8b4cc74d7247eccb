"""Every method of `sandbox.files` once more, by the SDK's synchronous side."""

import io
import threading
from collections.abc import Iterator

import httpx
import pytest
from e2b import Sandbox
from e2b.exceptions import FileNotFoundException
from e2b.sandbox.filesystem.watch_handle import FilesystemEventType

from tests.fixtures.runtime import RunningRuntime


@pytest.fixture(scope="module")
def sandbox(runtime: RunningRuntime) -> Iterator[Sandbox]:
    made = Sandbox.create(timeout=600, **runtime.connection)
    yield made
    made.kill()


def test_files_are_written_and_read_in_every_form(sandbox: Sandbox) -> None:
    sandbox.files.write("text", "grüße", metadata={"kind": "greeting"})
    assert sandbox.files.read("text") == "grüße"
    assert bytes(sandbox.files.read("text", format="bytes")) == "grüße".encode()
    assert b"".join(sandbox.files.read("text", format="stream")) == "grüße".encode()
    assert sandbox.files.get_info("text").metadata == {"kind": "greeting"}
    sandbox.files.write("text", io.BytesIO(b"from a file object"))
    assert sandbox.files.read("text") == "from a file object"
    sandbox.files.write("text", iter([b"from ", b"pieces"]))
    assert sandbox.files.read("text", gzip=True) == "from pieces"
    written = sandbox.files.write_files([{"path": "a/1", "data": "1"}, {"path": "a/2", "data": b"2"}])
    assert [entry.path for entry in written] == ["/home/user/a/1", "/home/user/a/2"]


def test_directories_are_made_listed_moved_and_removed(sandbox: Sandbox) -> None:
    assert sandbox.files.make_dir("dir/below")
    assert not sandbox.files.make_dir("dir/below")
    assert [entry.name for entry in sandbox.files.list("dir")] == ["below"]
    assert sandbox.files.rename("dir", "moved").path == "/home/user/moved"
    assert sandbox.files.exists("moved/below")
    sandbox.files.remove("moved")
    assert not sandbox.files.exists("moved")
    with pytest.raises(FileNotFoundException):
        sandbox.files.list("moved")


def test_collected_changes_are_given_once(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("collected/below")
    handle = sandbox.files.watch_dir("collected", recursive=True)
    sandbox.files.write("collected/below/file", "x")
    seen: set[tuple[FilesystemEventType, str]] = set()
    pause = threading.Event()
    for _ in range(100):
        seen |= {(event.type, event.name) for event in handle.get_new_events()}
        if (FilesystemEventType.WRITE, "below/file") in seen:
            break
        pause.wait(0.02)
    assert seen == {(FilesystemEventType.CREATE, "below/file"), (FilesystemEventType.WRITE, "below/file")}
    assert handle.get_new_events() == []
    handle.stop()
    with pytest.raises(Exception, match=r"stopped|not found"):
        handle.get_new_events()


def test_links_to_files_work_without_a_key(sandbox: Sandbox) -> None:
    uploaded = httpx.post(sandbox.upload_url("linked/file"), files={"file": ("any", b"by link")})
    assert uploaded.json() == [{"path": "/home/user/linked/file", "name": "file", "type": "file"}]
    assert httpx.get(sandbox.download_url("linked/file")).text == "by link"
