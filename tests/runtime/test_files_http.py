"""`/files` as plain HTTP has it: parts of files, conditions, broken bodies, full disks, compositions."""

import asyncio
import gzip
import os
from typing import Any

import httpx
import pytest
from e2b import AsyncSandbox
from e2b.envd.filesystem import filesystem_pb as pb
from e2b.exceptions import InvalidArgumentException, NotEnoughSpaceException

from tests.runtime.downloading import exhausted


@pytest.fixture(scope="module")
def address(box: AsyncSandbox) -> dict[str, str]:
    """Headers that name the sandbox and show its token."""
    return {
        "E2b-Sandbox-Id": box.sandbox_id,
        "E2b-Sandbox-Port": "49983",
        "X-Access-Token": str(box.connection_config.sandbox_headers["X-Access-Token"]),
    }


@pytest.fixture(scope="module")
async def ten(box: AsyncSandbox) -> str:
    """A file of ten bytes."""
    await box.files.write("ten", "0123456789")
    return "ten"


@pytest.mark.parametrize(
    ("wanted", "content_range", "content"),
    [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
        ("bytes=0-0", "bytes 0-0/10", "0"),
    ],
)
async def test_a_part_of_a_file_is_given(
    http: httpx.AsyncClient, address: dict[str, str], ten: str, wanted: str, content_range: str, content: str
) -> None:
    response = await http.get("/files", params={"path": ten}, headers=address | {"Range": wanted})
    assert (response.status_code, response.headers["content-range"]) == (206, content_range)
    assert response.text == content


@pytest.mark.parametrize("wanted", ["bytes=1-2,4-5", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=x"])
async def test_a_range_that_means_nothing_gives_the_whole(
    http: httpx.AsyncClient, address: dict[str, str], ten: str, wanted: str
) -> None:
    response = await http.get("/files", params={"path": ten}, headers=address | {"Range": wanted})
    assert (response.status_code, response.text) == (200, "0123456789")


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_range_behind_the_end_is_refused(
    http: httpx.AsyncClient, address: dict[str, str], ten: str, wanted: str
) -> None:
    response = await http.get("/files", params={"path": ten}, headers=address | {"Range": wanted})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */10")


async def test_an_unchanged_file_is_not_sent_again(
    http: httpx.AsyncClient, address: dict[str, str], ten: str
) -> None:
    first = await http.get("/files", params={"path": ten}, headers=address)
    modified = first.headers["last-modified"]
    again = await http.get("/files", params={"path": ten}, headers=address | {"If-Modified-Since": modified})
    assert (again.status_code, again.content) == (304, b"")
    head = await http.head("/files", params={"path": ten}, headers=address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10", b"")
    resumed = {"Range": "bytes=5-", "If-Range": modified}
    assert (await http.get("/files", params={"path": ten}, headers=address | resumed)).status_code == 206
    resumed["If-Range"] = "Mon, 01 Jan 2001 00:00:00 GMT"
    assert (await http.get("/files", params={"path": ten}, headers=address | resumed)).status_code == 200


async def test_a_name_can_put_nothing_into_the_headers(
    box: AsyncSandbox, http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    name = 'x"\r\nSet-Cookie: a=b.html'
    await box.files.write(name, "<script>")
    response = await http.get("/files", params={"path": name}, headers=address)
    assert "set-cookie" not in response.headers
    assert response.headers["content-security-policy"] == "sandbox"
    assert response.text == "<script>"


BROKEN: list[tuple[str, dict[str, str], bytes, str]] = [
    ("no boundary", {"Content-Type": "multipart/form-data"}, b"x", "boundary"),
    ("another type", {"Content-Type": "text/plain"}, b"x", "unsupported content type: text/plain"),
    ("no type", {}, b"x", "unsupported content type"),
    (
        "cut off",
        {"Content-Type": "multipart/form-data; boundary=b"},
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf',
        "ends before its last boundary",
    ),
    ("garbage", {"Content-Type": "multipart/form-data; boundary=b"}, b"garbage", "error reading form"),
    (
        "another coding",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "br"},
        b"x",
        "unsupported Content-Encoding: br",
    ),
    (
        "no gzip",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"},
        b"plain",
        "not valid gzip",
    ),
    (
        "half a gzip",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"},
        gzip.compress(b"whole")[:-4],
        "middle of its gzip stream",
    ),
]


@pytest.mark.parametrize(
    ("headers", "body", "message"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN]
)
async def test_a_broken_body_writes_nothing(
    box: AsyncSandbox,
    http: httpx.AsyncClient,
    address: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    message: str,
) -> None:
    await box.files.write("whole/file", "whole")
    response = await http.post(
        "/files", params={"path": "whole/file"}, headers=address | headers, content=body
    )
    assert response.status_code == 400
    assert message in response.json()["message"]
    assert await box.files.read("whole/file") == "whole"
    assert (await box.commands.run("ls -A whole")).stdout == "file\n"


async def test_an_interrupted_upload_leaves_the_old_file_and_no_other(
    box: AsyncSandbox, http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    await box.files.write("interrupted/file", "old")
    begun = asyncio.Event()

    async def endless() -> Any:
        while True:
            yield os.urandom(100_000)
            begun.set()
            await asyncio.sleep(0)

    headers = address | {"Content-Type": "application/octet-stream"}
    upload = asyncio.create_task(
        http.post("/files", params={"path": "interrupted/file"}, headers=headers, content=endless())
    )
    await begun.wait()
    assert await box.files.read("interrupted/file") == "old"
    upload.cancel()
    async with asyncio.timeout(10):
        while (await box.commands.run("ls -A interrupted")).stdout != "file\n":
            continue
    assert await box.files.read("interrupted/file") == "old"
    assert [entry.name for entry in await box.files.list("interrupted")] == ["file"]


async def test_a_full_disk_is_said_and_the_old_file_stays(box: AsyncSandbox) -> None:
    await box.files.write("/tmp/precious", "old")
    free = int((await box.commands.run("df --output=avail -B1 /tmp | tail -1")).stdout)

    async def too_much() -> Any:
        for _ in range(free // (1 << 20) + 2):
            yield bytes(1 << 20)

    with pytest.raises(NotEnoughSpaceException, match="not enough disk space"):
        await box.files.write("/tmp/precious", too_much())
    assert await box.files.read("/tmp/precious") == "old"
    assert (await box.commands.run("ls -A /tmp")).stdout == "precious\n"


async def test_a_file_that_shrinks_while_it_is_read_breaks_the_download(box: AsyncSandbox) -> None:
    await box.commands.run("truncate -s 1G shrinking")
    content = await box.files.read("shrinking", format="stream")
    await anext(content)
    await box.commands.run("truncate -s 1M shrinking")
    with pytest.raises(httpx.HTTPError):
        await asyncio.wait_for(exhausted(content), 20)


async def test_files_are_composed_in_order_and_removed(
    box: AsyncSandbox, http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    await box.files.write_files([{"path": f"pieces/{n}", "data": f"<{n}>"} for n in range(3)])
    body = {"source_paths": ["pieces/2", "~/pieces/0", "pieces/1"], "destination": "composed/all"}
    response = await http.post("/files/compose", headers=address, json=body)
    assert response.json() == {"path": "/home/user/composed/all", "name": "all", "type": "file"}
    assert await box.files.read("composed/all") == "<2><0><1>"
    assert await box.files.list("pieces") == []


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ([], 400, "expected a JSON object"),
        ({"source_paths": [], "destination": "x"}, 400, "source_paths must not be empty"),
        ({"source_paths": [1], "destination": "x"}, 400, "source_paths"),
        ({"source_paths": ["part"]}, 400, "destination is required"),
        ({"source_paths": ["part", "missing"], "destination": "x"}, 404, "source file not found"),
        ({"source_paths": ["part", "/home/user"], "destination": "x"}, 400, "not a regular file"),
        ({"source_paths": ["part"], "destination": "./part"}, 400, "cannot be the same as destination"),
        ({"source_paths": ["part"], "destination": "x", "username": "nobody-here"}, 401, "unknown user"),
        ({"source_paths": ["part"] * 5_000, "destination": "x"}, 400, "at most 1000 files"),
    ],
)
async def test_a_composition_that_cannot_be_changes_nothing(
    box: AsyncSandbox,
    http: httpx.AsyncClient,
    address: dict[str, str],
    body: Any,
    status: int,
    message: str,
) -> None:
    await box.files.write("part", "part")
    response = await http.post("/files/compose", headers=address, json=body)
    assert (response.status_code, message in response.json()["message"]) == (status, True)
    assert await box.files.read("part") == "part"
    assert not await box.files.exists("x")


async def test_a_watcher_that_never_was_is_not_found(
    http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    for method in ("GetWatcherEvents", "RemoveWatcher"):
        response = await http.post(
            f"/filesystem.Filesystem/{method}", headers=address, json={"watcherId": "w-nobody"}
        )
        assert response.json() == {"code": "not_found", "message": "watcher with id w-nobody not found"}


async def test_methods_and_paths_that_are_not_there_are_refused(
    http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    assert (await http.put("/files", headers=address)).status_code == 405
    assert (await http.get("/files/other", headers=address)).status_code == 405
    unknown = await http.post("/filesystem.Filesystem/Format", headers=address, json={})
    assert unknown.json()["code"] == "unimplemented"


async def test_a_list_is_the_same_in_both_of_the_protocols_forms(
    box: AsyncSandbox, http: httpx.AsyncClient, address: dict[str, str]
) -> None:
    await box.files.write_files([{"path": f"forms/{n}-{'long' * n}", "data": "x" * n} for n in range(50)])
    request = pb.ListDirRequest(path="forms")
    in_json = await http.post(
        "/filesystem.Filesystem/ListDir",
        headers=address | {"Content-Type": "application/json"},
        content=request.to_json(),
    )
    binary = await http.post(
        "/filesystem.Filesystem/ListDir",
        headers=address | {"Content-Type": "application/proto"},
        content=request.to_binary(),
    )
    answer = pb.ListDirResponse.from_binary(binary.content)
    assert len(answer.entries) == 50
    assert pb.ListDirResponse.from_json(in_json.content) == answer


async def test_more_entries_than_one_list_holds_are_refused(box: AsyncSandbox) -> None:
    await box.commands.run("mkdir /tmp/crowd && cd /tmp/crowd && seq 100001 | xargs touch", timeout=50)
    with pytest.raises(InvalidArgumentException, match="too many entries at /tmp/crowd"):
        await box.files.list("/tmp/crowd")
    await box.files.remove("/tmp/crowd")
