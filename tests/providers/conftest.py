from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.attachments import Attachment, AttachmentDetails
from commandcenter.providers.sandboxes import Provider
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


@pytest.fixture
def wire_provider(wire: WireServer) -> Provider:
    """The adapter under test, impatient, as an account at the provider on the wire."""
    account = ProviderAccount(
        name="wired", kind="e2b", api_key="key", api_url=wire.url, sandbox_url=wire.url, domain="test"
    )
    return Provider(account, request_seconds=0.5)


@pytest.fixture
def wired(wire_provider: Provider) -> Attachment:
    """The one sandbox of the provider on the wire."""
    details = AttachmentDetails(SANDBOX_ID, "sandboxes.test", "0.6.13", access_token="token")
    return wire_provider.attach(details)
