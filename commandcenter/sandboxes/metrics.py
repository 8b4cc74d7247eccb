"""Measuring a sandbox."""

from commandcenter.providers.errors import ProviderSandboxGoneError
from commandcenter.providers.sandboxes import ProviderMetrics
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services


async def measure_sandbox(services: Services, sandbox: Sandbox) -> ProviderMetrics | None:
    """What the sandbox uses at the moment; None where it does not run. To look is not activity."""
    if sandbox.status is not SandboxStatus.RUNNING or sandbox.provider_sandbox_id is None:
        return None
    try:
        return await services.providers.get(sandbox.provider).metrics(sandbox.provider_sandbox_id)
    except ProviderSandboxGoneError:
        return None
