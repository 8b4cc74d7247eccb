"""Output is bytes: kept exactly, shown as text that is never cut within a character."""

import base64
import hashlib
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from commandcenter.executions.records import Execution
from commandcenter.identifiers import new_id
from commandcenter.sandboxes.records import Sandbox
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.logs.reading import Reader, random_output

EVERY_BYTE = bytes(range(256)) * 20
CHUNKS = """
    logs(first: $first, after: $after, stream: $stream) {
        edges { cursor node { base64 stream } } pageInfo { hasNextPage endCursor } totalCount
    }
"""


async def test_every_byte_is_kept_nul_and_what_is_no_text_too(client: Client, sandbox_id: str) -> None:
    command = "python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 20)'"
    ran = await client.run(sandbox_id, command)
    reader = Reader()
    await reader.read_execution(client, ran["id"])
    [read] = reader.streams.values()
    assert bytes(read) == EVERY_BYTE
    assert ran["stdout"] == EVERY_BYTE.decode(errors="replace")


async def test_a_character_that_comes_in_pieces_is_shown_whole(client: Client, sandbox_id: str) -> None:
    command = r"""
        printf 'a\xf0\x9f'; sleep 0.1; printf '\x98'; sleep 0.1; printf '\x80b'
        printf '\xc3' >&2; sleep 0.1; printf '\xa9' >&2
    """
    execution = await client.start(sandbox_id, command)
    async with client.execution_logs(execution, selection="chunks { text stream }") as batches:
        chunks = [chunk async for batch in batches for chunk in batch["chunks"]]
    assert "".join(chunk["text"] for chunk in chunks if chunk["stream"] == "STDOUT") == "a😀b"
    assert "".join(chunk["text"] for chunk in chunks if chunk["stream"] == "STDERR") == "é"


async def test_long_text_is_never_cut_within_a_character(client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, """python3 -c 'print("x" + "€" * 300_000, end="")'""")
    async with client.execution_logs(execution) as batches:
        texts = [chunk["text"] async for batch in batches for chunk in batch["chunks"]]
    assert "".join(texts) == "x" + "€" * 300_000
    assert len(texts) > 1


@pytest.mark.parametrize("owner", ["execution", "sandbox"])
async def test_pages_hold_all_of_it_however_large(client: Client, owner: str) -> None:
    async with client.sandbox() as sandbox_id:
        ran = await client.run(sandbox_id, random_output(9_000_000))
        subject = ran["id"] if owner == "execution" else sandbox_id
        for first in (7, 100):
            read = await pages(client, owner, subject, first=first, stream="STDOUT")
            assert hashlib.sha256(read).hexdigest() == ran["stderr"].strip()
        everything = await pages(client, owner, subject, first=100)
        assert len(everything) == 9_000_000 + len(ran["stderr"])


async def test_output_is_found_behind_any_number_of_silent_commands(project: Project, client: Client) -> None:
    async with client.sandbox() as sandbox_id:
        await client.run(sandbox_id, "true")
        await repeat_last_execution(project, 600)
        await client.run(sandbox_id, "echo found")
        assert await pages(client, "sandbox", sandbox_id, first=10) == b"found\n"


async def repeat_last_execution(project: Project, times: int) -> None:
    """Write records of executions like the project's newest, as running so many would take long."""
    async with project.product.database.transaction(project.id) as session:
        newest = (await session.scalars(select(Execution).order_by(Execution.id.desc()).limit(1))).one()
        values = {name: value for name, value in vars(newest).items() if not name.startswith("_")}
        copies = [
            {**values, "id": new_id(), "number": newest.number + 1 + repeated} for repeated in range(times)
        ]
        await session.execute(insert(Execution), copies)
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == newest.sandbox_id)
            .values(execution_count=Sandbox.execution_count + times)
        )


async def pages(client: Client, owner: str, subject: str, **arguments: Any) -> bytes:
    """What all pages hold, one after the other."""
    variables = "$id: ID!, $first: Int, $after: String, $stream: LogStream"
    document = f"query({variables}) {{ {owner}(id: $id) {{ {CHUNKS} }} }}"
    read, after, count = b"", None, 0
    while True:
        answer = await client.query(document, id=subject, after=after, **arguments)
        found = answer[owner]["logs"]
        read += b"".join(base64.b64decode(edge["node"]["base64"]) for edge in found["edges"])
        count += len(found["edges"])
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            assert count == found["totalCount"]
            return read


async def test_the_end_of_a_stream_begins_with_a_whole_character(client: Client, sandbox_id: str) -> None:
    ran = await client.run(sandbox_id, "printf 'aé😀b'; printf error >&2")
    for last_bytes, shown in (
        (1, "b"),
        (2, "b"),
        (4, "b"),
        (5, "😀b"),
        (6, "😀b"),
        (7, "é😀b"),
        (999, "aé😀b"),
    ):
        execution = await client.show_execution(ran["id"], f"stdout(lastBytes: {last_bytes})")
        assert execution["stdout"] == shown
    assert (await client.show_execution(ran["id"], "stderr(lastBytes: 3)"))["stderr"] == "ror"
    for last_bytes in (0, -1, 1_048_577):
        document = f"query($id: ID!) {{ execution(id: $id) {{ stdout(lastBytes: {last_bytes}) }} }}"
        [error] = await client.errors(document, id=ran["id"])
        assert error.code == "INVALID"
