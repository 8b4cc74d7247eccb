"""Watching a sandbox's executions change."""

from collections.abc import AsyncGenerator, Collection
from uuid import UUID

from sqlalchemy import or_, select

from commandcenter.access.scope import Scope
from commandcenter.executions.queries import find_executions
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED, ExecutionStatus
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
        shown = {one.id: one.status for one in await _read_running(services, scope, sandbox_id, [])}
        while True:
            signals = await listener.wait(_LOOK_AGAIN_SECONDS)
            if signals is None:
                # Some may have been missed: of those that ran at the last look, and of all that run now.
                changed = await _read_running(services, scope, sandbox_id, list(shown))
            else:
                ids = list(dict.fromkeys(UUID(payload) for _, payload in signals))
                changed = await _read(services, scope, ids)
            for execution in changed:
                if _note(shown, execution):
                    yield execution


def _note(shown: dict[UUID, ExecutionStatus], execution: Execution) -> bool:
    """Whether an execution's state is another than was shown; those that ended need not be kept."""
    if shown.get(execution.id) is execution.status:
        return False
    if execution.has_ended:
        shown.pop(execution.id, None)
    else:
        shown[execution.id] = execution.status
    return True


async def _read(services: Services, scope: Scope, ids: list[UUID]) -> list[Execution]:
    async with services.database.transaction(scope.project_id) as session:
        return list((await find_executions(session, scope, ids)).values())


async def _read_running(
    services: Services, scope: Scope, sandbox_id: UUID, also: Collection[UUID]
) -> list[Execution]:
    """The sandbox's executions that have not ended, and those of `also`."""
    async with services.database.transaction(scope.project_id) as session:
        found = await session.scalars(
            select(Execution).where(
                Execution.project_id == scope.project_id,
                Execution.sandbox_id == sandbox_id,
                or_(Execution.status.not_in(ENDED), Execution.id.in_(also)),
            )
        )
        return list(found)
