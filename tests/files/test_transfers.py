import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from tests.files.transfers import download, file_at, upload
from tests.fixtures.client import Client
from tests.fixtures.product import Product

LARGE = 64 * 1024 * 1024
PIECE = os.urandom(1024 * 1024)


def most_memory(process: int) -> int:
    """The most bytes of memory that a process has had at once."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


async def test_a_large_file_goes_both_ways_in_little_memory(
    product: Product, client: Client, sandbox_id: str, folder: str
) -> None:
    sent, seen = hashlib.sha256(), hashlib.sha256()
    path = f"{folder}/large"
    await upload(client, sandbox_id, path, b"warm")
    await download(client, sandbox_id, path)
    before = [most_memory(web.child.process_id) for web in product.webs]

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LARGE // len(PIECE)):
            sent.update(PIECE)
            yield PIECE

    answer = await upload(client, sandbox_id, path, pieces(), mode="640")
    entry = answer.json()
    assert (answer.status_code, entry["path"], entry["size"], entry["mode"]) == (200, path, LARGE, "0640")
    async with client.http.stream("GET", entry["downloadUrl"]) as response:
        assert int(response.headers["content-length"]) == LARGE
        async for piece in response.aiter_raw():
            seen.update(piece)
    assert seen.hexdigest() == sent.hexdigest()
    inside = await client.run(sandbox_id, f"sha256sum < {path}")
    assert inside["stdout"].split()[0] == sent.hexdigest()
    after = [most_memory(web.child.process_id) for web in product.webs]
    assert max(late - early for early, late in zip(before, after, strict=True)) < LARGE // 4


async def test_what_an_upload_answers_is_what_the_api_shows(
    client: Client, sandbox_id: str, folder: str
) -> None:
    answer = (await upload(client, sandbox_id, f"{folder}/new/ü.bin", b"\0\xff")).json()
    assert (await client.http.get(answer.pop("downloadUrl"))).content == b"\0\xff"
    selection = " ".join(answer)
    assert await file_at(client, sandbox_id, f"{folder}/new/ü.bin", selection) == answer


async def test_an_empty_file_goes_both_ways(client: Client, sandbox_id: str, folder: str) -> None:
    assert (await upload(client, sandbox_id, f"{folder}/empty", b"")).json()["size"] == 0
    whole = await download(client, sandbox_id, f"{folder}/empty")
    assert (whole.status_code, whole.headers["content-length"], whole.content) == (200, "0", b"")
    part = await download(client, sandbox_id, f"{folder}/empty", Range="bytes=0-")
    assert (part.status_code, part.headers["content-range"]) == (416, "bytes */0")
