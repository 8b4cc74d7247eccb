"""Volumes, through E2B's Python SDK: made, filled from outside, mounted in sandboxes, destroyed."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from e2b import E2B, AsyncSandbox, AsyncVolume, SandboxException, VolumeException
from e2b.exceptions import AuthenticationException, NotFoundException

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture(scope="module", autouse=True)
def volume_address(runtime: RuntimeProcess) -> Iterator[None]:
    """Where the SDK finds what is in volumes: the fourth of the variables that the runtime tells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("E2B_VOLUME_API_URL", runtime.url)
        yield


@pytest.fixture(scope="module")
async def volume(e2b: E2B) -> AsyncIterator[AsyncVolume]:
    """A volume that the tests share."""
    volume = await e2b.AsyncVolume.create("shared")
    yield volume
    await e2b.AsyncVolume.destroy(volume.volume_id)


async def test_volumes_are_made_found_listed_and_destroyed(e2b: E2B) -> None:
    made = await e2b.AsyncVolume.create("my-data")
    assert (made.name, bool(made.token)) == ("my-data", True)
    info = await e2b.AsyncVolume.get_info(made.volume_id)
    assert (info.volume_id, info.name, info.token) == (made.volume_id, "my-data", made.token)
    assert (made.volume_id, "my-data") in {
        (each.volume_id, each.name) for each in await e2b.AsyncVolume.list()
    }
    again = await e2b.AsyncVolume.connect(made.volume_id)
    await again.write_file("/file", "content")
    assert await made.read_file("/file") == "content"
    with pytest.raises(VolumeException, match="400: Volume with name 'my-data' already exists"):
        await e2b.AsyncVolume.create("my-data")
    assert await e2b.AsyncVolume.destroy(made.volume_id) is True
    assert await e2b.AsyncVolume.destroy(made.volume_id) is False
    with pytest.raises(NotFoundException):
        await e2b.AsyncVolume.get_info(made.volume_id)
    assert await made.exists("/file") is False


async def test_names_that_cannot_be_are_refused(e2b: E2B) -> None:
    for name in ("", "a b", "../x", "ä", "x" * 129):
        with pytest.raises(VolumeException, match="Invalid volume name"):
            await e2b.AsyncVolume.create(name)


async def test_files_of_a_volume_from_outside(volume: AsyncVolume) -> None:
    written = await volume.write_file("/notes/a.txt", "one", force=True)
    assert (written.name, written.path, written.type.value, written.size) == (
        "a.txt", "/notes/a.txt", "file", 3,
    )  # fmt: skip
    assert (written.uid, written.gid, written.mode) == (1000, 1000, 0o644)
    assert await volume.read_file("/notes/a.txt", format="bytes") == b"one"
    with pytest.raises(VolumeException, match=r"409: path '/notes/a\.txt' already exists"):
        await volume.write_file("/notes/a.txt", "two")
    await volume.write_file("/notes/a.txt", io.BytesIO(b"two" * 1_000_000), force=True)
    parts = [part async for part in await volume.read_file("/notes/a.txt", format="stream")]
    assert b"".join(parts) == b"two" * 1_000_000
    with pytest.raises(NotFoundException):
        await volume.write_file("/missing/a.txt", "x")
    with pytest.raises(NotFoundException):
        await volume.read_file("/missing")
    with pytest.raises(VolumeException, match="400: path '/notes' is not a file"):
        await volume.read_file("/notes")
    await volume.remove("/notes")
    assert await volume.exists("/notes") is False
    with pytest.raises(NotFoundException):
        await volume.remove("/notes")
    with pytest.raises(VolumeException, match="400: cannot delete root"):
        await volume.remove("/")


async def test_folders_of_a_volume_from_outside(volume: AsyncVolume) -> None:
    made = await volume.make_dir("/a/b/c", force=True, mode=0o711)
    assert (made.type.value, made.mode, made.path) == ("directory", 0o711, "/a/b/c")
    await volume.make_dir("/a/b/c", force=True)
    with pytest.raises(VolumeException, match="409: "):
        await volume.make_dir("/a/b/c")
    with pytest.raises(NotFoundException):
        await volume.make_dir("/x/y")
    await volume.write_file("/a/file", "x")
    assert [each.path for each in await volume.list("/a")] == ["/a/b", "/a/file"]
    assert [each.path for each in await volume.list("/a", depth=3)] == ["/a/b", "/a/b/c", "/a/file"]
    assert "a" in {each.name for each in await volume.list("/")}
    with pytest.raises(VolumeException, match="400: depth must be between 1 and 10"):
        await volume.list("/a", depth=11)
    with pytest.raises(NotFoundException):
        await volume.list("/missing")
    with pytest.raises(VolumeException, match="is not a directory"):
        await volume.list("/a/file")
    changed = await volume.update_metadata("/a/file", mode=0o600)
    assert (changed.mode, changed.uid) == (0o600, 1000)
    if os.geteuid() == 0:
        changed = await volume.update_metadata("/a/file", uid=0, gid=0)
        assert (changed.uid, changed.gid, changed.mode) == (0, 0, 0o600)
    await volume.remove("/a")


async def test_sandboxes_share_a_volume_that_outlives_them(e2b: E2B, volume: AsyncVolume) -> None:
    await volume.write_file("/from-outside", "hello")
    one = await e2b.AsyncSandbox.create(timeout=60, volume_mounts={"/mnt/data": volume})
    other = await e2b.AsyncSandbox.create(timeout=60, volume_mounts={"/home/user/deep/down": "shared"})
    assert (await one.get_info()).volume_mounts == [{"name": "shared", "path": "/mnt/data"}]
    assert await one.files.read("/mnt/data/from-outside") == "hello"
    assert (await one.commands.run("id -un; stat -c %U /mnt/data/from-outside")).stdout == "user\nuser\n"
    await one.commands.run("echo from one > /mnt/data/note")
    assert await other.files.read("/home/user/deep/down/note") == "from one\n"
    (fork,) = await one.fork(timeout=60)
    assert isinstance(fork, AsyncSandbox)
    assert await fork.files.read("/mnt/data/note") == "from one\n"
    with pytest.raises(VolumeException, match="409: Volume 'shared' is mounted in sandboxes"):
        await e2b.AsyncVolume.destroy(volume.volume_id)
    await one.pause(keep_memory=False)
    await one.connect()
    assert await one.files.read("/mnt/data/note") == "from one\n"
    await asyncio.gather(one.kill(), other.kill(), fork.kill())
    assert await volume.read_file("/note") == "from one\n"


async def test_mounts_that_cannot_be_are_told_all_at_once(e2b: E2B) -> None:
    wanted = {
        "/mnt/a": "nothing",
        "relative": "shared",
        "/etc": "shared",
        "/proc/x": "shared",
        "/a/../b": "shared",
    }
    with pytest.raises(SandboxException) as refused:
        await e2b.AsyncSandbox.create(timeout=60, volume_mounts=dict(wanted))
    lines = str(refused.value).splitlines()
    assert lines[0] == "400: invalid mounts:"
    assert lines[1:3] == [
        "\t- volume mount #0: volume 'nothing' not found",
        "\t- volume mount #1: path must be absolute",
    ]
    assert len(lines) == 1 + len(wanted)


async def test_links_in_a_volume_lead_nowhere_from_outside(
    e2b: E2B, volume: AsyncVolume, runtime: RuntimeProcess
) -> None:
    secret = runtime.state / "api.key.secret"
    secret.write_text("host")
    sandbox = await e2b.AsyncSandbox.create(timeout=60, volume_mounts={"/mnt/data": volume})
    await sandbox.commands.run(
        f"cd /mnt/data && ln -s {secret} file && ln -s {secret.parent} folder && ln -s . here "
        "&& mkfifo pipe && ln -s /etc/passwd there"
    )
    assert (await volume.get_info("/file")).target == str(secret)
    for path in ("/file", "/folder/api.key.secret", "/here/file", "/there", "/pipe", "/folder"):
        with pytest.raises((VolumeException, NotFoundException)):
            await volume.read_file(path)
    for path in ("/../x", "/folder/new", "/here/../../x"):
        with pytest.raises((VolumeException, NotFoundException)):
            await volume.write_file(path, "x", force=True)
    with pytest.raises(VolumeException, match="a link has no owner or mode"):
        await volume.update_metadata("/file", mode=0o777)
    with pytest.raises((VolumeException, NotFoundException)):
        await volume.list("/folder")
    # Replacing and removing mean the link itself.
    await volume.write_file("/file", "mine", force=True)
    assert (secret.read_text(), await sandbox.files.read("/mnt/data/file")) == ("host", "mine")
    await volume.remove("/folder")
    assert secret.exists()
    for name in ("file", "here", "pipe", "there"):
        await volume.remove(f"/{name}")
    await sandbox.kill()
    secret.unlink()


async def test_a_link_where_a_volume_is_to_be_mounted_leads_nowhere(e2b: E2B, volume: AsyncVolume) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    await sandbox.commands.run("ln -s /tmp /home/user/data")
    snapshot = await sandbox.create_snapshot()
    made = await e2b.AsyncSandbox.create(
        snapshot.snapshot_id, timeout=60, volume_mounts={"/home/user/data": volume}
    )
    await made.files.write("/home/user/data/inside", "volume")
    assert await volume.read_file("/inside") == "volume"
    await asyncio.gather(made.kill(), sandbox.kill(), volume.remove("/inside"))
    await e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id)


async def test_content_is_opened_by_the_volumes_token_alone(
    e2b: E2B, volume: AsyncVolume, runtime: RuntimeProcess
) -> None:
    other = await e2b.AsyncVolume.create("other")
    for token in ("wrong", other.token, runtime.api_key):
        with pytest.raises(AuthenticationException):
            await volume.list("/", token=token)
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        path = f"/volumecontent/{volume.volume_id}/dir?path=/"
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers={"X-API-Key": runtime.api_key})).status_code == 401
        assert (await client.get("/volumes")).status_code == 401
    await e2b.AsyncVolume.destroy(other.volume_id)


async def test_an_upload_that_breaks_off_leaves_nothing(volume: AsyncVolume, runtime: RuntimeProcess) -> None:
    files = runtime.state / "volumes" / volume.volume_id / "files"
    before = set(files.iterdir())

    async def halting() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        raise ConnectionAbortedError

    async with httpx.AsyncClient(base_url=runtime.url) as client:
        headers = {"Authorization": f"Bearer {volume.token}"}
        url = f"/volumecontent/{volume.volume_id}/file?path=/half"
        with pytest.raises(ConnectionAbortedError):
            await client.put(url, headers=headers, content=halting())
    assert set(files.iterdir()) == before


def test_the_synchronous_sdk_does_the_same(e2b: E2B) -> None:
    volume = e2b.Volume.create("of-sync")
    volume.make_dir("/folder")
    volume.write_file("/folder/file", b"content")
    assert [each.name for each in volume.list("/folder")] == ["file"]
    assert volume.get_info("/folder/file").size == 7
    assert volume.update_metadata("/folder/file", mode=0o640).mode == 0o640
    assert volume.read_file("/folder/file") == "content"
    assert b"".join(volume.read_file("/folder/file", format="stream")) == b"content"
    sandbox = e2b.Sandbox.create(timeout=60, volume_mounts={"/data": volume})
    assert sandbox.files.read("/data/folder/file") == "content"
    sandbox.kill()
    volume.remove("/folder")
    assert volume.exists("/folder") is False
    assert e2b.Volume.connect(volume.volume_id).name == "of-sync"
    assert e2b.Volume.destroy(volume.volume_id) is True


async def test_a_runtime_of_an_ordinary_user_has_volumes_too(unprivileged_runtime: RuntimeProcess) -> None:
    e2b, url = unprivileged_runtime.client, unprivileged_runtime.url
    volume = await e2b.AsyncVolume.create("mine")
    written = await volume.write_file("/file", "content", api_url=url)
    assert (written.uid, written.gid) == (1000, 1000)
    with pytest.raises(VolumeException, match="this runtime wasn't started by root"):
        await volume.update_metadata("/file", uid=5, api_url=url)
    sandbox = await e2b.AsyncSandbox.create(timeout=60, volume_mounts={"/mnt/data": "mine"})
    await sandbox.commands.run("echo more >> /mnt/data/file && mkdir -m 0 /mnt/data/closed")
    assert await volume.read_file("/file", api_url=url) == "contentmore\n"
    await sandbox.kill()
    await volume.remove("/closed", api_url=url)
    assert await e2b.AsyncVolume.destroy(volume.volume_id) is True
    assert [*Path(unprivileged_runtime.state, "volumes").iterdir()] == []


async def test_a_volume_of_a_sandbox_that_is_being_made_stays(e2b: E2B, runtime: RuntimeProcess) -> None:
    volume = await e2b.AsyncVolume.create("of-one-being-made")
    there = len(list((runtime.state / "sandboxes").iterdir()))
    making = asyncio.ensure_future(e2b.AsyncSandbox.create(timeout=60, volume_mounts={"/mnt/data": volume}))
    async with asyncio.timeout(10):
        while len(list((runtime.state / "sandboxes").iterdir())) == there:
            await asyncio.sleep(0)
    with pytest.raises(VolumeException, match="mounted in sandboxes"):
        await e2b.AsyncVolume.destroy(volume.volume_id)
    sandbox = await making
    assert (await sandbox.commands.run("touch /mnt/data/file && echo on")).stdout == "on\n"
    await sandbox.kill()
    assert await e2b.AsyncVolume.destroy(volume.volume_id) is True
