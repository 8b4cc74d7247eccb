"""Sandboxes of a real runtime, by E2B's unmodified SDK."""

from collections.abc import AsyncIterator

import httpx
import pytest
from e2b import AsyncSandbox

from tests.fixtures.runtime import RunningRuntime


@pytest.fixture(scope="module")
async def box(runtime: RunningRuntime) -> AsyncIterator[AsyncSandbox]:
    """A sandbox that the tests of a module share."""
    sandbox = await AsyncSandbox.create(timeout=600, **runtime.connection)
    yield sandbox
    await sandbox.kill()


@pytest.fixture(scope="module")
async def http(runtime: RunningRuntime) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client of the runtime, for what the SDK doesn't send."""
    async with httpx.AsyncClient(base_url=runtime.url, timeout=30) as client:
        yield client
