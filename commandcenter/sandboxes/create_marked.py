"""Finding a sandbox at its provider by our mark: what came of a creation whose answer nobody saw."""

import asyncio
from collections.abc import Sequence

import structlog

from commandcenter.errors import DomainError
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from commandcenter.sandboxes.marks import INSTANCE_MARK, SANDBOX_MARK
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services

# A provider may need a moment until it lists what it has just made.
LOOKS_AFTER_SECONDS: Sequence[float] = (0, 0.5, 1, 2)

_log = structlog.get_logger()


async def find_marked(
    services: Services, provider: Provider, sandbox: Sandbox, looks_after_seconds: Sequence[float]
) -> ProviderSandbox | None:
    """The provider's sandbox that carries the record's mark, ready to be used for its time to live.

    Looks again after each of `looks_after_seconds`; None where it is not there by then. A provider that does
    not answer is asked again at the next look. Of several, which a provider may have made of one request, it
    is the first by age; the sweep ends the others.
    """
    marks = {INSTANCE_MARK: str(services.instance_id), SANDBOX_MARK: str(sandbox.id)}
    for seconds in looks_after_seconds:
        await asyncio.sleep(seconds)
        try:
            found = [info async for page in provider.list(marks) for info in page]
            if found:
                oldest = min(found, key=lambda info: info.started_at)
                # To connect gives the tokens that the lost answer held.
                return await provider.resume(oldest.id, sandbox.ttl_seconds)
        except DomainError as error:
            _log.info("creation.look_failed", sandbox_id=str(sandbox.id), error=error.message)
    return None
