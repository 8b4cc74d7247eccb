from collections.abc import AsyncIterator

import httpx
import pytest

from tests.files.transfers import code_of, file_at, names_below, upload
from tests.fixtures.client import Client


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
        ("sandboxId={sandbox_id}&path=/run/runtime/new", {}, 403, "FORBIDDEN"),
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
        yield b"x" * 1_000_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await upload(client, sandbox_id, path, half())
    events = await client.show(sandbox_id, "events { nodes { kind data } }")
    written = [event for event in events["events"]["nodes"] if event["data"].get("path") == path]
    assert [event["data"]["size"] for event in written if event["kind"] == "file.written"] == [6]
    assert await names_below(client, sandbox_id, folder) == ["kept"]
    assert await file_at(client, sandbox_id, path, "text") == {"text": "before"}
