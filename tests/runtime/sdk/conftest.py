"""A client of the runtime that the environment names, or else of the tests' own."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from e2b import E2B, AsyncSandbox, Sandbox


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> E2B:
    """E2B's client, bound to the runtime."""
    if "RUNTIME_URL" in os.environ:
        url, key = os.environ["RUNTIME_URL"], os.environ["RUNTIME_API_KEY"]
    else:
        runtime = request.getfixturevalue("runtime")
        url, key = runtime.url, runtime.api_key
    return E2B(api_key=key, api_url=url, sandbox_url=url)


@pytest.fixture(scope="module")
async def box(client: E2B) -> AsyncIterator[AsyncSandbox]:
    """A sandbox that a module's tests share."""
    sandbox = await client.AsyncSandbox.create(timeout=300)
    yield sandbox
    await sandbox.kill()


@pytest.fixture(scope="module")
def sync_box(client: E2B) -> Iterator[Sandbox]:
    """A sandbox that a module's tests share, for callers that wait."""
    sandbox = client.Sandbox.create(timeout=300)
    yield sandbox
    sandbox.kill()
