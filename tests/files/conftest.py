"""A folder of its own for each test, in the sandbox that a module's tests share."""

import uuid

import pytest

from tests.files.transfers import FILE, upload, url_of
from tests.fixtures.client import Client


@pytest.fixture
async def folder(client: Client, sandbox_id: str) -> str:
    """The path of an empty folder."""
    path = f"/home/user/tests/{uuid.uuid4().hex}"
    made = await client.mutate("makeDirectory", FILE, sandboxId=sandbox_id, path=path)
    assert made["path"] == path
    return path


@pytest.fixture
async def digits(client: Client, sandbox_id: str, folder: str) -> str:
    """The link to a file with the ten digits in it."""
    path = f"{folder}/digits"
    assert (await upload(client, sandbox_id, path, b"0123456789")).status_code == 200
    return await url_of(client, sandbox_id, path)
