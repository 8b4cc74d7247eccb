"""A sandbox that a module's tests share, and a folder in it for each test."""

import uuid
from collections.abc import AsyncIterator

import pytest

from tests.files.transfers import FILE
from tests.fixtures.client import Client


@pytest.fixture(scope="module")
async def sandbox(client: Client) -> AsyncIterator[str]:
    """The id of a sandbox that the tests of a module share."""
    async with client.sandbox(name="files") as sandbox_id:
        yield sandbox_id


@pytest.fixture
async def folder(client: Client, sandbox: str) -> str:
    """The path of an empty folder."""
    path = f"/home/user/tests/{uuid.uuid4().hex}"
    made = await client.mutate("makeDirectory", FILE, sandboxId=sandbox, path=path)
    assert made["path"] == path
    return path
