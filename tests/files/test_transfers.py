import hashlib
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.files.links import FileLink, read_link, sign_link
from commandcenter.instance import load_instance
from commandcenter.keys.actions import revoke_key
from tests.files.transfers import code_of, download, file_at, names_below, upload, url_of
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

LARGE = 64 * 1024 * 1024
PIECE = os.urandom(1024 * 1024)


@pytest.fixture
async def digits(client: Client, sandbox_id: str, folder: str) -> str:
    """The link to a file with the ten digits in it."""
    path = f"{folder}/digits"
    assert (await upload(client, sandbox_id, path, b"0123456789")).status_code == 200
    return await url_of(client, sandbox_id, path)


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


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-20", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
async def test_a_range_of_a_file_is_sent_alone(
    client: Client, digits: str, asked: str, content: bytes, told: str
) -> None:
    answer = await client.http.get(digits, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["content-range"] == told
    assert int(answer.headers["content-length"]) == len(content)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0", "bytes=999999999999-"])
async def test_a_range_outside_a_file_cannot_be_sent(client: Client, digits: str, asked: str) -> None:
    answer = await client.http.get(digits, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    "asked", ["bytes=3-1", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=", f"bytes={'9' * 30}-"]
)
async def test_what_is_no_single_range_gets_the_whole_file(client: Client, digits: str, asked: str) -> None:
    answer = await client.http.get(digits, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_a_conditional_range_gets_the_whole_file(client: Client, digits: str) -> None:
    answer = await client.http.get(digits, headers={"Range": "bytes=0-1", "If-Range": '"something"'})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_head_tells_the_size_and_sends_nothing(client: Client, digits: str) -> None:
    answer = await client.http.head(digits)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["content-length"], answer.headers["accept-ranges"]) == ("10", "bytes")


async def test_a_link_that_leads_to_a_file_gives_that_file(
    client: Client, sandbox_id: str, folder: str, digits: str
) -> None:
    await client.run(sandbox_id, "ln -s digits link", cwd=folder)
    url = await url_of(client, sandbox_id, f"{folder}/link")
    assert (await client.http.get(url)).content == b"0123456789"
    assert (await client.http.head(url)).headers["content-length"] == "10"
    assert (await client.http.get(url, headers={"Range": "bytes=-3"})).content == b"789"


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("page.html", "page.html", "page.html"),
        ('a"b\\c.txt', "a_b_c.txt", "a%22b_c.txt"),
        ("line\r\nSet-Cookie: x=1", "line__Set-Cookie_ x_1", "line__Set-Cookie%3A%20x%3D1"),
        ("ümläut 🦄.svg", "_ml_ut _.svg", "%C3%BCml%C3%A4ut%20%F0%9F%A6%84.svg"),
    ],
)
async def test_content_of_a_sandbox_is_saved_and_never_run_as_ours(
    client: Client, sandbox_id: str, folder: str, name: str, plain: str, encoded: str
) -> None:
    path = f"{folder}/{name}"
    assert (await upload(client, sandbox_id, path, b"<script>alert(1)</script>")).status_code == 200
    headers = (await download(client, sandbox_id, path)).headers
    assert headers["content-disposition"] == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")
    assert "set-cookie" not in headers
    assert "no-store" in headers["cache-control"]


async def signing_key(database: Database) -> bytes:
    async with database.system_transaction() as session:
        return (await load_instance(session)).signing_key


async def test_a_link_needs_no_key_and_ends_in_time(product: Product, client: Client, digits: str) -> None:
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    assert timedelta(minutes=5) < link.expires_at - now() < timedelta(minutes=15)
    assert (await client.http.get(digits)).status_code == 200

    ended = FileLink(link.key_id, link.sandbox_id, link.path, now() - timedelta(seconds=1))
    answer = await client.http.get(f"{address}/{sign_link(key, ended)}")
    assert (answer.status_code, code_of(answer)) == (410, "NOT_FOUND")
    assert "expired" in answer.text


async def test_a_link_that_was_not_signed_here_leads_nowhere(
    product: Product, client: Client, digits: str
) -> None:
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    payload, _, signature = token.rpartition(".")
    forged = [
        sign_link(b"x" * 32, link),
        f"{payload}.{signature[:-1]}",
        f"{payload}x.{signature}",
        payload,
        signature,
        "x",
        "x" * 20_000,
        "%2e%2e%2fetc%2fpasswd",
        "\u00fc",
    ]
    for each in forged:
        answer = await client.http.get(f"{address}/{each}")
        assert answer.status_code == 404, each
        assert "0123" not in answer.text


async def test_a_link_sees_what_its_key_sees(product: Product, project: Project, digits: str) -> None:
    client = project.client()
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    foreign_id, _ = await (await product.new_project()).new_key()
    foreign = FileLink(foreign_id, link.sandbox_id, link.path, link.expires_at)
    answer = await client.http.get(f"{address}/{sign_link(key, foreign)}")
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


async def test_a_link_ends_with_its_key(
    product: Product, project: Project, sandbox_id: str, digits: str
) -> None:
    key_id, secret = await project.new_key()
    url = await url_of(product.client(secret), sandbox_id, "/etc/hostname")
    assert (await project.client().http.get(url)).status_code == 200
    scope = Scope(project.id, Role.ADMINISTRATOR, "test")
    async with product.database.transaction(project.id) as session:
        await revoke_key(session, scope, key_id)
    answer = await project.client().http.get(url)
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("none", 404, "NOT_FOUND"), ("", 400, "INVALID"), ("pipe", 400, "INVALID"), ("shut", 403, "FORBIDDEN")],
)
async def test_what_is_no_file_to_read_is_no_download(
    product: Product,
    client: Client,
    sandbox_id: str,
    folder: str,
    digits: str,
    path: str,
    status: int,
    code: str,
) -> None:
    await client.run(sandbox_id, "mkfifo pipe; touch shut; chmod 0 shut", cwd=folder)
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    folder = link.path.removesuffix("/digits")
    await client.run(sandbox_id, "mkfifo pipe; touch shut; chmod 0 shut", cwd=folder)
    other = FileLink(link.key_id, link.sandbox_id, f"{folder}/{path}", link.expires_at)
    for method in ("GET", "HEAD"):
        answer = await client.http.request(method, f"{address}/{sign_link(key, other)}")
        assert answer.status_code == status
        if method == "GET":
            assert code_of(answer) == code


@pytest.mark.parametrize(
    ("parameters", "headers", "status", "code"),
    [
        ("path=x", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}", {}, 400, "INVALID"),
        ("sandboxId=nothing&path=x", {}, 404, "NOT_FOUND"),
        ("sandboxId={sandbox_id}&path={folder}/a&path={folder}/b", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path={folder}/%FF", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path={folder}/a%00b", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path=", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path={folder}", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path=/usr/new", {}, 403, "FORBIDDEN"),
        ("sandboxId={sandbox_id}&path={folder}/a&mode=999", {}, 400, "INVALID"),
        ("sandboxId={sandbox_id}&path={folder}/a", {"Content-Encoding": "gzip"}, 415, "BAD_REQUEST"),
        (
            "sandboxId={sandbox_id}&path={folder}/a",
            {"Content-Type": "multipart/form-data; boundary=x"},
            415,
            "BAD_REQUEST",
        ),
        ("sandboxId={sandbox_id}&path={folder}/a", {"Authorization": ""}, 401, "UNAUTHENTICATED"),
        ("sandboxId={sandbox_id}&path={folder}/a", {"Authorization": "Bearer cc_x"}, 401, "UNAUTHENTICATED"),
    ],
)
async def test_an_upload_that_cannot_be_is_a_typed_error_and_changes_nothing(
    client: Client,
    sandbox_id: str,
    folder: str,
    parameters: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    query = parameters.format(sandbox_id=sandbox_id, folder=folder)
    answer = await client.http.put(
        f"{client.address}/files?{query}", content=b"x", headers={**client.authorization, **headers}
    )
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert await names_below(client, sandbox_id, folder) == []


async def test_a_browser_uploads_from_our_own_pages_alone(
    client: Client, sandbox_id: str, folder: str
) -> None:
    async with httpx.AsyncClient(base_url=client.address) as browser:
        signed_in = await browser.post("/sign-in", data={"key": client.key})
        assert signed_in.status_code == 303
        parameters = {"sandboxId": sandbox_id, "path": f"{folder}/page"}
        for origin in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = await browser.put("/files", params=parameters, content=b"evil", headers=origin)
            assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
        assert await names_below(client, sandbox_id, folder) == []
        ours = {"Origin": client.address}
        taken = await browser.put("/files", params=parameters, content=b"ours", headers=ours)
        assert (taken.status_code, taken.json()["size"]) == (200, 4)


async def test_an_upload_that_breaks_off_leaves_the_file_as_it_was(
    client: Client, sandbox_id: str, folder: str
) -> None:
    path = f"{folder}/kept"
    await upload(client, sandbox_id, path, b"before")

    async def half() -> AsyncIterator[bytes]:
        yield PIECE
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await upload(client, sandbox_id, path, half())
    events = await client.show(sandbox_id, "events { nodes { kind data } }")
    written = [event for event in events["events"]["nodes"] if event["data"].get("path") == path]
    assert [event["data"]["size"] for event in written if event["kind"] == "file.written"] == [6]
    assert await names_below(client, sandbox_id, folder) == ["kept"]
    assert await file_at(client, sandbox_id, path, "text") == {"text": "before"}
