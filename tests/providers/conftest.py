import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from commandcenter.providers.accounts import ProviderAccount, ProviderKind
from commandcenter.providers.attachments import Attachment, AttachmentDetails
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from tests.fixtures.runtime import RuntimeProcess
from tests.providers.wire import SANDBOX_ID, WireServer, wire_server


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


def runtime_account(runtime: RuntimeProcess, name: str, kind: ProviderKind) -> ProviderAccount:
    return ProviderAccount(name, kind, runtime.api_key, runtime.url, runtime.url, "localhost")


@pytest.fixture(scope="session")
def local(runtime: RuntimeProcess) -> Provider:
    """The runtime as CommandCenter uses it."""
    return Provider(runtime_account(runtime, "local", "local"))


@pytest.fixture(scope="session", params=["local", "e2b"])
def provider(request: pytest.FixtureRequest, runtime: RuntimeProcess) -> Provider:
    """The runtime in both ways that providers are spoken to: protobuf and, as E2B, JSON."""
    return Provider(runtime_account(runtime, "under-test", request.param))


@pytest.fixture(scope="session")
def cloud(dropping_runtime: RuntimeProcess) -> Provider:
    """A provider like E2B's cloud."""
    return Provider(runtime_account(dropping_runtime, "cloud", "e2b"))


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
