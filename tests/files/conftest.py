"""A folder of its own for each test, in the sandbox that a module's tests share."""

import uuid

import pytest

from tests.files.transfers import FILE
from tests.fixtures.client import Client


@pytest.fixture
async def folder(client: Client, sandbox_id: str) -> str:
    """The path of an empty folder."""
    path = f"/home/user/tests/{uuid.uuid4().hex}"
    made = await client.mutate("makeDirectory", FILE, sandboxId=sandbox_id, path=path)
    assert made["path"] == path
    return path
