"""Which executions of a sandbox a reader has not read to their end."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.executions.records import Execution
from commandcenter.logs.cursors import SandboxPosition

_MOST_AT_ONCE = 500
_NOT_READ = text("NOT (CAST(:complete AS int8multirange) @> executions.number)")


async def unread_executions(
    session: AsyncSession,
    scope: Scope,
    sandbox_id: UUID,
    position: SandboxPosition,
    *,
    only_with_output: bool = False,
) -> list[Execution]:
    """The first executions, by number, that the position does not hold as read to their end."""
    query = select(Execution).where(
        Execution.project_id == scope.project_id,
        Execution.sandbox_id == sandbox_id,
        _NOT_READ.bindparams(complete=position.as_multirange()),
    )
    if only_with_output:
        query = query.where(Execution.last_sequence > 0)
    found = await session.scalars(query.order_by(Execution.number).limit(_MOST_AT_ONCE))
    return list(found)


def finish(executions: Sequence[Execution], position: SandboxPosition) -> bool:
    """Note those that have ended and were read whole; whether there were any."""
    whole = [
        execution.number
        for execution in executions
        if execution.has_ended and position.sequence(execution.number) >= execution.last_sequence
    ]
    for number in whole:
        position.finish(number)
    return bool(whole)
