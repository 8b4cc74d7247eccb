"""Ending processes whose output nobody reads any more: they must not go on unseen."""

import structlog

from commandcenter.access.scope import Scope
from commandcenter.errors import DomainError
from commandcenter.executions.records import Execution
from commandcenter.providers import continuation
from commandcenter.providers.process_groups import cancel
from commandcenter.sandboxes.attachments import attach_by_id
from commandcenter.services import Services

_log = structlog.get_logger()


async def end_leftover(services: Services, scope: Scope, execution: Execution) -> None:
    """End what may still run of an execution; that its sandbox is gone or paused is no error."""
    try:
        attachment = await attach_by_id(services, scope, execution.sandbox_id)
        # Of a start whose answer was lost the number is not known.
        pid = (
            execution.pid
            if execution.pid is not None
            else await continuation.find(attachment, str(execution.id))
        )
        if pid is not None:
            await cancel(attachment, pid, user=execution.user)
    except DomainError as error:
        _log.info("execution.leftover_not_ended", execution_id=str(execution.id), error=error.message)
