"""Forks of sandboxes, through E2B's Python SDK."""

import asyncio
import json

import pytest
from e2b import E2B, AsyncSandbox, SandboxException

from runtime.layers.store import MOST_LAYERS
from tests.fixtures.runtime import RuntimeProcess


async def test_forks_begin_with_the_parents_files_and_settings_and_go_their_own_ways(e2b: E2B) -> None:
    parent = await e2b.AsyncSandbox.create(timeout=60, metadata={"job": "7"}, envs={"WORD": "x"})
    await parent.files.write("file", "of the parent")
    forks = await parent.fork(timeout=77, count=3)
    children = [each for each in forks if isinstance(each, AsyncSandbox)]
    assert len(children) == 3
    assert len({each.sandbox_id for each in (parent, *children)}) == 4
    for number, child in enumerate(children):
        assert (await child.commands.run("cat file; echo $WORD")).stdout == "of the parentx\n"
        await child.files.write("file", f"of child {number}")
    assert [await each.files.read("file") for each in (parent, *children)] == [
        "of the parent", "of child 0", "of child 1", "of child 2",
    ]  # fmt: skip
    info, of_parent = await children[0].get_info(), await parent.get_info()
    assert (info.metadata, info.template_id) == ({"job": "7"}, of_parent.template_id)
    assert (info.end_at - info.started_at).total_seconds() == 77
    assert (await parent.get_info()).end_at == of_parent.end_at
    await asyncio.gather(*(each.kill() for each in (parent, *children)))


async def test_processes_stay_with_the_parent(e2b: E2B) -> None:
    parent = await e2b.AsyncSandbox.create(timeout=60)
    await parent.commands.run("sleep 300", background=True)
    (child,) = await e2b.AsyncSandbox.fork(parent.sandbox_id, timeout=60)
    assert isinstance(child, AsyncSandbox)
    assert [process.cmd for process in await child.commands.list()] == []
    assert len(await parent.commands.list()) == 1
    await asyncio.gather(parent.kill(), child.kill())


async def test_forks_of_forks_to_any_depth(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=120)
    for number in range(MOST_LAYERS + 2):
        await sandbox.files.write(f"file-{number}", str(number))
        if number:
            await sandbox.files.remove(f"file-{number - 1}")
        await sandbox.pause(keep_memory=False)
        (child,) = await sandbox.fork(timeout=120)
        assert isinstance(child, AsyncSandbox)
        await sandbox.kill()
        sandbox = child
    assert [entry.name for entry in await sandbox.files.list("/home/user")] == [f"file-{MOST_LAYERS + 1}"]
    await sandbox.kill()


async def test_impossible_forks_are_refused_before_anything_stands_still(e2b: E2B) -> None:
    parent = await e2b.AsyncSandbox.create(timeout=60)
    with pytest.raises(SandboxException, match="400: Timeout cannot be greater than 24 hours"):
        await parent.fork(timeout=100_000)
    await parent.kill()


async def test_a_tree_too_deep_to_copy_is_refused_and_the_sandbox_goes_on(e2b: E2B) -> None:
    parent = await e2b.AsyncSandbox.create(timeout=60)
    await parent.commands.run("for i in $(seq 300); do mkdir d && cd d || exit 1; done")
    for stopped in (False, True):
        if stopped:
            await parent.pause(keep_memory=False)
        with pytest.raises(SandboxException, match="400: Folders are nested more than 256 deep"):
            await parent.fork()
        await parent.connect()
        assert (await parent.commands.run("echo on; ls")).stdout == "on\nd\n"
    await parent.kill()


async def test_a_stopped_sandbox_lies_on_few_layers_however_often_it_is_captured(
    e2b: E2B, runtime: RuntimeProcess
) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=120)
    record = runtime.state / "sandboxes" / sandbox.sandbox_id / "meta.json"
    for number in range(MOST_LAYERS + 1):
        await sandbox.files.write(f"file-{number}", str(number))
        await sandbox.pause(keep_memory=False)
        (child,) = await sandbox.fork(timeout=120)
        assert isinstance(child, AsyncSandbox)
        await child.kill()
        await sandbox.connect()
    assert len(json.loads(record.read_bytes())["layers"]) == 2
    names = [entry.name for entry in await sandbox.files.list("/home/user")]
    assert sorted(names) == sorted(f"file-{number}" for number in range(MOST_LAYERS + 1))
    await sandbox.kill()
