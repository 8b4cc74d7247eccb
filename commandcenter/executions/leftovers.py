"""Ending processes whose output nobody reads any more: they must not go on unseen."""

import structlog

from commandcenter.access.scope import Scope
from commandcenter.errors import DomainError
from commandcenter.executions.records import Execution
from commandcenter.providers import continuation
from commandcenter.providers.process_groups import cancel
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.services import Services

_log = structlog.get_logger()


async def end_leftover(services: Services, scope: Scope, execution: Execution) -> None:
    """End what may still run of an execution; that its sandbox is gone or paused is no error."""
    try:
        async with services.database.transaction(scope.project_id) as session:
            sandbox = await get_sandbox(session, scope, execution.sandbox_id)
        attachment = attach(services, sandbox)
        pid = execution.pid
        # Of a start whose answer was lost the number is not known; in a later life of the sandbox it may be
        # another process's.
        if pid is None or execution.incarnation != sandbox.incarnation:
            pid = await continuation.find(attachment, str(execution.id))
        if pid is not None:
            await cancel(attachment, pid, user=execution.user)
    except DomainError as error:
        _log.info("execution.leftover_not_ended", execution_id=str(execution.id), error=error.message)
