"""Sandboxes of a real runtime, by E2B's unmodified SDK."""

from collections.abc import AsyncIterator

import httpx
import pytest
from e2b import E2B, AsyncSandbox

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture(scope="module")
async def box(e2b: E2B) -> AsyncIterator[AsyncSandbox]:
    """A sandbox that the tests of a module share."""
    sandbox = await e2b.AsyncSandbox.create(timeout=600)
    yield sandbox
    await sandbox.kill()


@pytest.fixture(scope="module")
async def http(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client of the runtime, for what the SDK doesn't send."""
    async with httpx.AsyncClient(base_url=runtime.url, timeout=30) as client:
        yield client
