"""Every method of `sync_box.files` once more, by the SDK's synchronous side."""

import io
import threading
from collections.abc import Iterator

import httpx
import pytest
from e2b import E2B, Sandbox
from e2b.exceptions import FileNotFoundException, SandboxException
from e2b.sandbox.filesystem.watch_handle import FilesystemEventType


@pytest.fixture(scope="module")
def sync_box(e2b: E2B) -> Iterator[Sandbox]:
    made = e2b.Sandbox.create(timeout=600)
    yield made
    made.kill()


def test_files_are_written_and_read_in_every_form(sync_box: Sandbox) -> None:
    sync_box.files.write("text", "grüße", metadata={"kind": "greeting"})
    assert sync_box.files.read("text") == "grüße"
    assert bytes(sync_box.files.read("text", format="bytes")) == "grüße".encode()
    assert b"".join(sync_box.files.read("text", format="stream")) == "grüße".encode()
    assert sync_box.files.get_info("text").metadata == {"kind": "greeting"}
    sync_box.files.write("text", io.BytesIO(b"from a file object"))
    assert sync_box.files.read("text") == "from a file object"
    sync_box.files.write("text", iter([b"from ", b"pieces"]))
    assert sync_box.files.read("text", gzip=True) == "from pieces"
    written = sync_box.files.write_files([{"path": "a/1", "data": "1"}, {"path": "a/2", "data": b"2"}])
    assert [entry.path for entry in written] == ["/home/user/a/1", "/home/user/a/2"]


def test_directories_are_made_listed_moved_and_removed(sync_box: Sandbox) -> None:
    assert sync_box.files.make_dir("dir/below")
    assert not sync_box.files.make_dir("dir/below")
    assert [entry.name for entry in sync_box.files.list("dir")] == ["below"]
    assert sync_box.files.rename("dir", "moved").path == "/home/user/moved"
    assert sync_box.files.exists("moved/below")
    sync_box.files.remove("moved")
    assert not sync_box.files.exists("moved")
    with pytest.raises(FileNotFoundException):
        sync_box.files.list("moved")


def test_collected_changes_are_given_once(sync_box: Sandbox) -> None:
    sync_box.files.make_dir("collected/below")
    handle = sync_box.files.watch_dir("collected", recursive=True)
    sync_box.files.write("collected/below/file", "x")
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


def test_events_that_nobody_took_are_lost_loudly(sync_box: Sandbox) -> None:
    sync_box.files.make_dir("flooded")
    handle = sync_box.files.watch_dir("flooded")
    sync_box.commands.run("cd flooded && seq 10000 | xargs touch")
    assert sync_box.files.exists("flooded/10000")
    assert len(handle.get_new_events()) > 1_000
    with pytest.raises(SandboxException, match="events were lost"):
        handle.get_new_events()
    handle.stop()


def test_links_to_files_work_without_a_key(sync_box: Sandbox) -> None:
    uploaded = httpx.post(sync_box.upload_url("linked/file"), files={"file": ("any", b"by link")})
    assert uploaded.json() == [{"path": "/home/user/linked/file", "name": "file", "type": "file"}]
    assert httpx.get(sync_box.download_url("linked/file")).text == "by link"
