"""Watching a sandbox's executions change."""

from collections.abc import AsyncGenerator
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.executions.queries import find_executions
from commandcenter.executions.records import Execution
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.services import Services
from commandcenter.signals import execution_topic

_LOOK_AGAIN_SECONDS = 30.0


async def watch_executions(
    services: Services, scope: Scope, sandbox_id: UUID
) -> AsyncGenerator[Execution, None]:
    """Each execution of the sandbox that starts or ends, from now on, in its newest state."""
    async with services.database.transaction(scope.project_id) as session:
        await get_sandbox(session, scope, sandbox_id)
    with services.signals.listen(execution_topic(sandbox_id)) as listener:
        while True:
            signals = await listener.wait(_LOOK_AGAIN_SECONDS) or []
            ids = list(dict.fromkeys(UUID(payload) for _, payload in signals))
            if not ids:
                continue
            async with services.database.transaction(scope.project_id) as session:
                found = await find_executions(session, scope, ids)
            for execution in found.values():
                yield execution
