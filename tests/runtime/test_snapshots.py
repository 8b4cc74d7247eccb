"""Snapshots of sandboxes, through E2B's Python SDK: made, listed, made sandboxes from, deleted."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from e2b import E2B, AsyncSandbox, SandboxException
from e2b.exceptions import NotFoundException, SandboxNotFoundException

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture(scope="module")
async def source(e2b: E2B) -> AsyncIterator[AsyncSandbox]:
    """A sandbox with a file of its user's, one of root's, and without one that all have."""
    sandbox = await e2b.AsyncSandbox.create(timeout=600, envs={"WORD": "kept"}, metadata={"not": "carried"})
    await sandbox.files.write("/home/user/mine", "content")
    await sandbox.commands.run("echo programs > /usr/local/share/made && rm /etc/debian_version", user="root")
    yield sandbox
    await sandbox.kill()


async def test_a_sandbox_made_from_a_snapshot_has_the_files_as_they_were(
    e2b: E2B, source: AsyncSandbox
) -> None:
    snapshot = await source.create_snapshot()
    await source.files.write("/home/user/mine", "changed later")
    made = await e2b.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)
    shown = await made.commands.run(
        "cat mine; echo; cat /usr/local/share/made; stat -c %U mine /usr/local/share/made; echo $WORD; "
        "test -e /etc/debian_version || echo gone"
    )
    assert shown.stdout.split() == ["content", "programs", "user", "root", "kept", "gone"]
    assert await source.files.read("mine") == "changed later"
    info = await made.get_info()
    assert (info.metadata, info.template_id) == ({}, snapshot.snapshot_id.partition(":")[0])
    await made.kill()
    assert await e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id) is True
    assert await e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id) is False
    with pytest.raises(Exception, match=r"404: template '\w+' not found"):
        await e2b.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)


async def test_a_name_stands_for_the_last_snapshot_under_it(e2b: E2B, source: AsyncSandbox) -> None:
    await source.files.write("state", "one")
    first = await source.create_snapshot("my-work")
    assert (first.snapshot_id, first.names) == ("default/my-work:default", ["default/my-work:default"])
    await source.files.write("state", "two")
    tagged = await source.create_snapshot("my-work:v2")
    assert tagged.names == ["default/my-work:v2"]
    for name, state in (("my-work", "one"), ("default/my-work:v2", "two"), ("my-work:default", "one")):
        made = await e2b.AsyncSandbox.create(name, timeout=60)
        assert await made.files.read("state") == state
        await made.kill()
    await source.create_snapshot("my-work")
    made = await e2b.AsyncSandbox.create("my-work", timeout=60)
    assert await made.files.read("state") == "two"
    await made.kill()
    assert await e2b.AsyncSandbox.delete_snapshot("my-work") is True


async def test_snapshots_are_listed_the_youngest_first_by_sandbox_name_and_page(
    e2b: E2B, source: AsyncSandbox, runtime: RuntimeProcess
) -> None:
    other = await e2b.AsyncSandbox.create(timeout=60)
    made = [
        await source.create_snapshot("listed-a"),
        await source.create_snapshot("listed-b"),
        await other.create_snapshot("listed-c"),
    ]
    ids = [each.snapshot_id for each in made]
    everything = await e2b.AsyncSandbox.list_snapshots().next_items()
    assert [each.snapshot_id for each in everything][:3] == ids[::-1]
    of_other = await other.list_snapshots().next_items()  # type: ignore[misc]
    assert [each.snapshot_id for each in of_other] == [ids[2]]
    named = await e2b.AsyncSandbox.list_snapshots(name="listed-a").next_items()
    assert named == [made[0]]
    pages = source.list_snapshots(limit=1)  # type: ignore[misc]
    seen = []
    while pages.has_next:
        page = await pages.next_items()
        assert len(page) <= 1
        seen += page
    assert [each.snapshot_id for each in seen][:2] == [ids[1], ids[0]]
    assert "listed-a" not in await template_names(runtime)
    await asyncio.gather(other.kill(), *(e2b.AsyncSandbox.delete_snapshot(each) for each in ids))


async def template_names(runtime: RuntimeProcess) -> list[str]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        rows = (await client.get("/templates")).json()
    return [alias for row in rows for alias in row["aliases"]]


async def test_a_snapshot_that_a_paused_sandbox_was_made_from_stays(e2b: E2B, source: AsyncSandbox) -> None:
    snapshot = await source.create_snapshot()
    made = await e2b.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)
    await made.pause()
    with pytest.raises(SandboxException, match="because there are paused sandboxes using it") as refused:
        await e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id)
    assert refused.value.status_code == 400
    await made.connect()
    assert await e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id) is True
    assert await made.files.read("/home/user/mine"), "what runs keeps its files"
    await made.pause(keep_memory=False)
    await made.connect()
    assert await made.files.read("/home/user/mine")
    await made.kill()


async def test_names_that_cannot_be_are_refused(source: AsyncSandbox) -> None:
    for name in ("with space", "a/b/c", "other-team/name", "name:bad tag"):
        with pytest.raises(SandboxException, match=r"^400: "):
            await source.create_snapshot(name)
    with pytest.raises(Exception, match="403: Alias 'base' is already used"):
        await source.create_snapshot("base")


async def test_only_a_sandbox_that_exists_can_be_captured(e2b: E2B) -> None:
    with pytest.raises(SandboxNotFoundException):
        await e2b.AsyncSandbox.create_snapshot("inothinghere00000000")
    with pytest.raises(NotFoundException):
        await e2b.AsyncSandbox.fork("inothinghere00000000")


async def test_a_paused_sandbox_can_be_captured_and_goes_on(e2b: E2B) -> None:
    for memory in (True, False):
        sandbox = await e2b.AsyncSandbox.create(timeout=60)
        await sandbox.files.write("file", "content")
        await sandbox.pause(keep_memory=memory)
        for _ in range(2):
            snapshot = await sandbox.create_snapshot()
            made = await e2b.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)
            assert await made.files.read("file") == "content"
            await asyncio.gather(made.kill(), e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id))
        await sandbox.connect()
        await sandbox.files.write("file", "more")
        assert await sandbox.files.read("file") == "more"
        await sandbox.kill()


async def test_what_runs_stands_still_while_it_is_captured_and_goes_on(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    # Two files that get a line in turn: a copy of both at one moment differs by a line at most.
    count = await sandbox.commands.run("while :; do echo >> a; echo >> b; done", background=True, timeout=0)
    for _ in range(3):
        snapshot = await sandbox.create_snapshot()
        made = await e2b.AsyncSandbox.create(snapshot.snapshot_id, timeout=60)
        first, second = (await made.commands.run("touch a b; wc -l < a; wc -l < b")).stdout.split()
        assert int(first) - int(second) in (0, 1)
        await asyncio.gather(made.kill(), e2b.AsyncSandbox.delete_snapshot(snapshot.snapshot_id))
    before = await lines_of(sandbox, "b")
    async with asyncio.timeout(10):
        while await lines_of(sandbox, "b") <= before:
            pass
    await count.kill()
    await sandbox.kill()


async def lines_of(sandbox: AsyncSandbox, file: str) -> int:
    return int((await sandbox.commands.run(f"wc -l < {file}")).stdout)


def test_the_synchronous_sdk_does_the_same(e2b: E2B) -> None:
    sandbox = e2b.Sandbox.create(timeout=60)
    sandbox.files.write("file", "content")
    snapshot = sandbox.create_snapshot("of-sync", mode="filesystem")
    assert e2b.Sandbox.list_snapshots(name="of-sync").next_items() == [snapshot]
    assert sandbox.list_snapshots().next_items() == [snapshot]  # type: ignore[misc]
    made = e2b.Sandbox.create(snapshot.snapshot_id, timeout=60)
    assert made.files.read("file") == "content"
    (fork,) = made.fork(timeout=60)
    assert not isinstance(fork, Exception)
    assert fork.files.read("file") == "content"
    for each in (fork, made, sandbox):
        each.kill()
    assert e2b.Sandbox.delete_snapshot(snapshot.snapshot_id) is True


async def test_a_runtime_of_an_ordinary_user_captures_too(unprivileged_runtime: RuntimeProcess) -> None:
    sandboxes = unprivileged_runtime.client.AsyncSandbox
    layers = unprivileged_runtime.state / "layers"
    before = set(layers.iterdir())
    sandbox = await sandboxes.create(timeout=60)
    await sandbox.commands.run(
        "echo content > file; mkdir closed; touch closed/inside; chmod 0 closed; chmod 0 file; "
        "rm /etc/debian_version; rm -r .config; mkfifo pipe; ln file other"
    )
    snapshot = await sandbox.create_snapshot("unprivileged")
    await sandbox.pause(keep_memory=False)
    for name in (snapshot.snapshot_id, (await sandbox.create_snapshot()).snapshot_id):
        made = await sandboxes.create(name, timeout=60)
        shown = await made.commands.run(
            "stat -c %a closed file; chmod 700 closed file; cat file; ls closed; "
            "test -e /etc/debian_version || echo gone; test -p pipe && echo pipe; stat -c %h other"
        )
        assert shown.stdout.split() == ["0", "0", "content", "inside", "gone", "pipe", "2"]
        await made.kill()
        assert await sandboxes.delete_snapshot(name) is True
    await sandbox.kill()
    async with asyncio.timeout(10):
        while not set(layers.iterdir()) <= before:
            await asyncio.sleep(0.01)
