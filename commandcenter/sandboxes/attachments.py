"""Reaching into a running sandbox."""

from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.providers.attachments import Attachment, AttachmentDetails
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services


def attach(services: Services, sandbox: Sandbox) -> Attachment:
    """The way to a sandbox's processes and files; `SandboxStateError` where it does not run."""
    if sandbox.attachment is None or sandbox.status is not SandboxStatus.RUNNING:
        raise SandboxStateError(sandbox, SandboxStatus.RUNNING)
    details = AttachmentDetails.from_json(sandbox.attachment)
    return services.providers.get(sandbox.provider).attach(details)


async def attach_by_id(services: Services, scope: Scope, sandbox_id: UUID) -> Attachment:
    """The way into one of the project's sandboxes, by its id."""
    async with services.database.transaction(scope.project_id) as session:
        sandbox = await get_sandbox(session, scope, sandbox_id)
    return attach(services, sandbox)
