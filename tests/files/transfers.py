"""Sending files to the product and getting them from it, as clients do."""

from collections.abc import AsyncIterable
from typing import Any

import httpx

from tests.fixtures.client import Client

FILE = "name path kind size mode owner modifiedAt symlinkTarget"


async def upload(
    client: Client, sandbox_id: str, path: str, content: bytes | AsyncIterable[bytes], **more: str
) -> httpx.Response:
    """The answer to `PUT /files`."""
    return await client.http.put(
        f"{client.address}/files",
        params={"sandboxId": sandbox_id, "path": path, **more},
        content=content,
        headers=client.authorization,
    )


async def file_at(client: Client, sandbox_id: str, path: str, selection: str = FILE) -> dict[str, Any] | None:
    """What is at a path."""
    shown = await client.query(
        f"query($id: ID!, $path: String!) {{ sandbox(id: $id) {{ file(path: $path) {{ {selection} }} }} }}",
        id=sandbox_id,
        path=path,
    )
    found: dict[str, Any] | None = shown["sandbox"]["file"]
    return found


async def url_of(client: Client, sandbox_id: str, path: str) -> str:
    """The link to a file, at the client's own web process."""
    entry = await file_at(client, sandbox_id, path, "downloadUrl")
    assert entry is not None
    return str(httpx.URL(entry["downloadUrl"]))


async def download(client: Client, sandbox_id: str, path: str, **headers: str) -> httpx.Response:
    """The answer to a file's link, without a key."""
    return await client.http.get(await url_of(client, sandbox_id, path), headers=headers)


async def names_below(client: Client, sandbox_id: str, path: str, depth: int = 10) -> list[str]:
    """The paths of everything below a directory, relative to it."""
    document = (
        "query($id: ID!, $path: String!, $depth: Int!) "
        "{ sandbox(id: $id) { files(path: $path, depth: $depth) { path } } }"
    )
    shown = await client.query(document, id=sandbox_id, path=path, depth=depth)
    return [entry["path"].removeprefix(path + "/") for entry in shown["sandbox"]["files"]]


def code_of(answer: httpx.Response) -> str:
    """The error code of an answer that is no success."""
    assert answer.is_error, answer.text
    [error] = answer.json()["errors"]
    return str(error["extensions"]["code"])
