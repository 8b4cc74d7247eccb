import pytest

from tests.files.transfers import download, upload, url_of
from tests.fixtures.client import Client


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
