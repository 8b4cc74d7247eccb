import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.attachments import Attachment, AttachmentDetails
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from processes.child import ChildPlan
from tests.fixtures.children import running
from tests.providers.wire import SANDBOX_ID, WireServer, wire_server

RUNTIME_KEY = "e2b_" + "0" * 40


@pytest_asyncio.fixture(scope="session")
async def running_wire() -> AsyncIterator[WireServer]:
    async with wire_server() as wire:
        yield wire


@pytest.fixture
def wire(running_wire: WireServer) -> WireServer:
    """A provider on the wire, healthy until a test gives it other answers."""
    running_wire.reset()
    return running_wire


def wire_account(wire: WireServer) -> ProviderAccount:
    return ProviderAccount(
        name="wired", kind="e2b", api_key="key", api_url=wire.url, sandbox_url=wire.url, domain="test"
    )


WIRED = AttachmentDetails(SANDBOX_ID, "sandboxes.test", "0.6.13", access_token="token")


@pytest.fixture
def wire_provider(wire: WireServer) -> Provider:
    """The adapter under test, as an account at the provider on the wire."""
    return Provider(wire_account(wire), request_seconds=10)


@pytest.fixture
def wired(wire_provider: Provider) -> Attachment:
    """The one sandbox of the provider on the wire."""
    return wire_provider.attach(WIRED)


@pytest.fixture
def impatient(wire: WireServer) -> Provider:
    """The same account, for answers that never come and streams that fall silent."""
    return Provider(wire_account(wire), request_seconds=0.2, silence_seconds=0.2)


@pytest_asyncio.fixture(scope="session")
async def runtime_url(short_folder: Path) -> AsyncIterator[str]:
    """A real runtime of its own for the session."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{url}/health")).is_success
            except httpx.TransportError:
                return False

    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "RUNTIME_STATE_DIRECTORY": str(short_folder / "runtime"),
        "RUNTIME_PORT": str(port),
        "RUNTIME_API_KEY": RUNTIME_KEY,
    }
    command = (sys.executable, "-m", "runtime")
    async with running(ChildPlan(name="runtime", command=command, environment=environment, ready=ready)):
        yield url


@pytest.fixture(scope="session")
def local(runtime_url: str) -> Provider:
    """The runtime as CommandCenter uses it."""
    account = ProviderAccount("local", "local", RUNTIME_KEY, runtime_url, runtime_url, "localhost")
    return Provider(account)


@pytest.fixture(scope="session", params=["local", "e2b"])
def provider(request: pytest.FixtureRequest, runtime_url: str) -> Provider:
    """The runtime in both ways that providers are spoken to: protobuf and, as E2B, JSON."""
    return Provider(
        ProviderAccount(
            name="under-test",
            kind=request.param,
            api_key=RUNTIME_KEY,
            api_url=runtime_url,
            sandbox_url=runtime_url,
            domain="localhost",
        )
    )


async def new_sandbox(provider: Provider, **metadata: str) -> ProviderSandbox:
    """A sandbox without network that lives ten minutes."""
    return await provider.create(
        template="base",
        ttl_seconds=600,
        metadata=metadata,
        envs={"FROM_SANDBOX": "yes"},
        allow_internet=False,
        on_timeout="kill",
        idempotency_key=str(uuid.uuid4()),
    )


@pytest_asyncio.fixture(scope="session")
async def sandbox(provider: Provider) -> AsyncIterator[Attachment]:
    """A sandbox that tests share."""
    made = await new_sandbox(provider)
    yield provider.attach(made.attachment)
    await provider.kill(made.id)
