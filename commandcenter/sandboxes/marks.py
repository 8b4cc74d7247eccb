"""The marks by which our sandboxes are known at a provider.

They are written as the provider's metadata, so that a crash between the provider's act and our record of it
can be healed, and so that nothing of anybody else's is ever touched.
"""

from uuid import UUID

from commandcenter.sandboxes.records import Sandbox

INSTANCE_MARK = "commandcenter.instance"
SANDBOX_MARK = "commandcenter.sandbox"
PROJECT_MARK = "commandcenter.project"


def provider_metadata(instance_id: UUID, sandbox: Sandbox) -> dict[str, str]:
    """The metadata that a provider keeps with a sandbox of ours."""
    return {
        INSTANCE_MARK: str(instance_id),
        SANDBOX_MARK: str(sandbox.id),
        PROJECT_MARK: str(sandbox.project_id),
    }
