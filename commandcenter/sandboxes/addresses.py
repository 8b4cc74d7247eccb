"""Where a server inside a sandbox can be reached."""

from commandcenter.errors import InvalidError
from commandcenter.providers.attachments import AttachmentDetails
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_HIGHEST_PORT = 65_535


def address_of_port(services: Services, sandbox: Sandbox, port: int) -> str:
    """The URL of a port of a running sandbox."""
    if not 1 <= port <= _HIGHEST_PORT:
        raise InvalidError(f"A port is a number from 1 to {_HIGHEST_PORT}.", ("port",))
    if sandbox.attachment is None or sandbox.status is not SandboxStatus.RUNNING:
        raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
    details = AttachmentDetails.from_json(sandbox.attachment)
    provider = services.providers.get(sandbox.provider)
    scheme = "http" if provider.kind == "local" else "https"
    return f"{scheme}://{port}-{details.sandbox_id}.{details.domain}"
