import asyncio
from collections import Counter
from typing import Any

import pytest

from commandcenter.access.scope import Role
from tests.files.transfers import FILE, upload
from tests.fixtures.client import Client, Subscription, UnexpectedErrorsError
from tests.fixtures.product import Product, Project

WATCH = """
subscription($id: ID!, $path: String!, $recursive: Boolean! = false) {
  fileEvents(sandboxId: $id, path: $path, recursive: $recursive) { kind path at }
}
"""
MARKER = "watch-has-begun"


async def begun(client: Client, sandbox_id: str, folder: str, events: Subscription) -> None:
    """Wait until a watch sees what happens: nothing tells that it has begun but its first event."""

    enough = asyncio.Event()

    async def make_noise() -> None:
        while not enough.is_set():
            await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=f"{folder}/{MARKER}", text="")

    noise = asyncio.create_task(make_noise())
    first = await anext(events)
    assert first["path"] == f"{folder}/{MARKER}"
    enough.set()
    await noise


async def seen(events: Subscription, kind: str, path: str) -> list[tuple[str, str]]:
    """The events up to the first of this kind at this path, without those of the beginning."""
    found = []
    async for event in events:
        if not event["path"].endswith(MARKER):
            found.append((event["kind"], event["path"]))
        if (event["kind"], event["path"]) == (kind, path):
            return found
    raise AssertionError("the watch ended")


async def test_changes_are_seen_as_they_happen(client: Client, sandbox_id: str, folder: str) -> None:
    async with client.subscribe(WATCH, id=sandbox_id, path=folder) as events:
        await begun(client, sandbox_id, folder, events)
        await upload(client, sandbox_id, f"{folder}/new", b"1")
        assert ("CREATED", f"{folder}/new") in await seen(events, "WRITTEN", f"{folder}/new")
        await client.run(sandbox_id, "chmod 600 new", cwd=folder)
        await seen(events, "MODE_CHANGED", f"{folder}/new")
        await client.mutate(
            "moveFile", FILE, sandboxId=sandbox_id, path=f"{folder}/new", destination=f"{folder}/newer"
        )
        assert ("RENAMED", f"{folder}/new") in await seen(events, "CREATED", f"{folder}/newer")
        await client.mutate("removeFile", FILE, sandboxId=sandbox_id, path=f"{folder}/newer")
        await seen(events, "REMOVED", f"{folder}/newer")


async def test_a_whole_tree_is_watched_where_asked(client: Client, sandbox_id: str, folder: str) -> None:
    await client.run(sandbox_id, "mkdir -p there", cwd=folder)
    async with (
        client.subscribe(WATCH, id=sandbox_id, path=folder, recursive=True) as deep,
        client.subscribe(WATCH, id=sandbox_id, path=folder) as flat,
    ):
        await begun(client, sandbox_id, folder, deep)
        await begun(client, sandbox_id, folder, flat)
        await upload(client, sandbox_id, f"{folder}/there/deep", b"1")
        await upload(client, sandbox_id, f"{folder}/made/deeper", b"1")
        await seen(deep, "WRITTEN", f"{folder}/there/deep")
        await seen(deep, "WRITTEN", f"{folder}/made/deeper")
        await upload(client, sandbox_id, f"{folder}/last", b"1")
        paths = Counter(path for _, path in await seen(flat, "WRITTEN", f"{folder}/last"))
    assert f"{folder}/there/deep" not in paths
    assert f"{folder}/made/deeper" not in paths


async def test_a_path_from_the_home_is_told_from_the_root(
    client: Client, sandbox_id: str, folder: str
) -> None:
    async with client.subscribe(WATCH, id=sandbox_id, path=folder.removeprefix("/home/user/")) as events:
        await begun(client, sandbox_id, folder, events)


async def refusal(client: Client, **variables: Any) -> str:
    """The code of the error that a watch ends with, before any event."""
    async with client.subscribe(WATCH, **variables) as events:
        with pytest.raises(UnexpectedErrorsError) as raised:
            await anext(events)
    [error] = raised.value.args[0]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    ("path", "code"),
    [("/etc/passwd", "INVALID"), ("/nowhere", "NOT_FOUND"), ("", "INVALID"), ("\0", "INVALID")],
)
async def test_what_is_no_directory_is_not_watched(
    client: Client, sandbox_id: str, path: str, code: str
) -> None:
    assert await refusal(client, id=sandbox_id, path=path) == code


async def test_another_project_sees_nothing(product: Product, sandbox_id: str) -> None:
    stranger = (await product.new_project()).client()
    assert await refusal(stranger, id=sandbox_id, path="/home/user") == "NOT_FOUND"


async def test_a_viewer_may_watch(project: Project, client: Client, sandbox_id: str, folder: str) -> None:
    async with project.client(Role.VIEWER).subscribe(WATCH, id=sandbox_id, path=folder) as events:
        await begun(client, sandbox_id, folder, events)


@pytest.mark.parametrize("end", ["pauseSandbox", "terminateSandbox"])
async def test_a_watch_ends_with_its_sandbox_and_says_so(client: Client, end: str) -> None:
    async with client.sandbox() as sandbox_id:
        async with client.subscribe(WATCH, id=sandbox_id, path="/home/user") as events:
            await begun(client, sandbox_id, "/home/user", events)
            await client.mutate(end, "id", sandboxId=sandbox_id)
            with pytest.raises(UnexpectedErrorsError) as raised:
                async for _ in events:
                    pass
        [error] = raised.value.args[0]
        assert error["extensions"]["code"] == "WRONG_STATE"
        assert await refusal(client, id=sandbox_id, path="/home/user") == "WRONG_STATE"
