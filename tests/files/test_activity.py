"""Which uses of files keep a sandbox from being idle, and what the audit trail says of them."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from tests.files.test_watching import WATCH, begun
from tests.files.transfers import FILE, download, file_at, names_below, upload, url_of
from tests.fixtures.client import Client

# The schedule that ends idle sandboxes runs every second or two.
IDLE_SECONDS = 2
BUSY_SECONDS = 6.0


async def last_activity(client: Client, sandbox_id: str) -> str:
    return str((await client.show(sandbox_id, "lastActivityAt"))["lastActivityAt"])


async def test_to_look_at_files_is_no_activity(client: Client, sandbox_id: str, folder: str) -> None:
    path = f"{folder}/file"
    await upload(client, sandbox_id, path, b"text")
    async with client.subscribe(WATCH, id=sandbox_id, path=folder) as events:
        await begun(client, sandbox_id, folder, events)
        before = await last_activity(client, sandbox_id)
        assert len(await names_below(client, sandbox_id, folder)) == 2
        assert await file_at(client, sandbox_id, path, "text downloadUrl")
        assert (await client.http.head(await url_of(client, sandbox_id, path))).status_code == 200
        assert await last_activity(client, sandbox_id) == before


async def test_to_change_files_or_to_transfer_them_is_activity(
    client: Client, sandbox_id: str, folder: str
) -> None:
    path = f"{folder}/file"
    moments = [await last_activity(client, sandbox_id)]
    for mutation, values in (
        ("writeFile", {"text": "x"}),
        ("moveFile", {"destination": f"{folder}/b"}),
        ("makeDirectory", {}),
        ("removeFile", {}),
    ):
        await client.mutate(mutation, FILE, sandboxId=sandbox_id, path=path, **values)
        moments.append(await last_activity(client, sandbox_id))
    await upload(client, sandbox_id, path, b"text")
    moments.append(await last_activity(client, sandbox_id))
    await download(client, sandbox_id, path)
    moments.append(await last_activity(client, sandbox_id))
    assert moments == sorted(set(moments))


async def test_the_audit_trail_tells_each_change(client: Client, sandbox_id: str, folder: str) -> None:
    path, other = f"{folder}/a", f"{folder}/b"
    await client.mutate("makeDirectory", FILE, sandboxId=sandbox_id, path=f"{folder}/dir")
    await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=path, text="x")
    await upload(client, sandbox_id, path, b"text")
    await client.mutate("moveFile", FILE, sandboxId=sandbox_id, path=path, destination=other)
    await client.mutate("removeFile", FILE, sandboxId=sandbox_id, path=other)
    await client.refused("removeFile", sandboxId=sandbox_id, path=other)
    shown = await client.show(sandbox_id, "events(first: 5) { nodes { kind actor data } }")
    events = list(reversed(shown["events"]["nodes"]))
    assert [(event["kind"], event["data"]) for event in events] == [
        ("file.directory_made", {"path": f"{folder}/dir"}),
        ("file.written", {"path": path, "size": 1}),
        ("file.written", {"path": path, "size": 4}),
        ("file.moved", {"path": path, "destination": other}),
        ("file.removed", {"path": other}),
    ]
    assert all(event["actor"].startswith("key:") for event in events)


async def ended(client: Client, sandbox_id: str) -> str:
    """Why a sandbox has ended, once it has."""
    document = "subscription($id: ID!) { sandboxChanged(sandboxId: $id) { status terminationReason } }"
    async with client.subscribe(document, id=sandbox_id) as changes:
        async for change in changes:
            if change["status"] == "TERMINATED":
                return str(change["terminationReason"])
    raise AssertionError("the sandbox has not ended")


async def test_a_slow_transfer_keeps_its_sandbox_alive_and_what_is_broken_off_does_not(
    client: Client,
) -> None:
    async with (
        client.sandbox(idleTimeoutSeconds=IDLE_SECONDS) as receiving,
        client.sandbox(idleTimeoutSeconds=IDLE_SECONDS) as sending,
        httpx.AsyncClient() as reader,
    ):
        await client.run(sending, "head -c 50000000 /dev/zero > zeros")

        async def drip() -> AsyncIterator[bytes]:
            for _ in range(int(BUSY_SECONDS * 2)):
                yield b"x"
                await asyncio.sleep(0.5)

        async with reader.stream("GET", await url_of(client, sending, "zeros")) as stalled:
            assert stalled.status_code == 200
            written = await upload(client, receiving, "drops", drip())
            assert (written.status_code, written.json()["size"]) == (200, BUSY_SECONDS * 2)
            assert (await client.show(sending))["status"] == "RUNNING"
        assert await ended(client, sending) == "IDLE"
        assert await ended(client, receiving) == "IDLE"
