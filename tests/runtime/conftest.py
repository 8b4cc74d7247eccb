"""Sandboxes of a real runtime, by E2B's unmodified SDK."""

from collections.abc import AsyncIterator

import httpx
import pytest
from e2b import E2B, AsyncSandbox

from tests.fixtures.runtime import RuntimeProcess, runtime_folder
from tests.runtime.outside import ADDRESS, HOSTS, Outside, outside, own_address


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


@pytest.fixture(scope="session")
async def networked(server: Outside) -> AsyncIterator[RuntimeProcess]:
    """A runtime that finds our names, and lets sandboxes reach our server."""
    with runtime_folder() as state:
        hosts = state.parent / "hosts"
        hosts.write_text(HOSTS)
        allowed = f"{ADDRESS}/32,{own_address()}/32:{server.port}"
        process = RuntimeProcess(state, hosts=hosts, network_private_allowed=allowed)
        await process.start()
        yield process
        await process.stop()


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Outside]:
    async with outside() as server:
        yield server


@pytest.fixture(scope="session")
async def shared(networked: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    sandbox = await networked.client.AsyncSandbox.create(timeout=600)
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def inside(shared: AsyncSandbox) -> AsyncSandbox:
    """The shared sandbox, with the network of one that asked for nothing."""
    await shared.update_network({})
    return shared
