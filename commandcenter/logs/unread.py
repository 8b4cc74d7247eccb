"""Which executions of a sandbox a reader has not read to their end."""

from collections.abc import AsyncGenerator, Sequence
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
) -> AsyncGenerator[list[Execution], None]:
    """The executions that the position does not hold as read to their end, by number, some at a time."""
    query = select(Execution).where(
        Execution.project_id == scope.project_id,
        Execution.sandbox_id == sandbox_id,
        _NOT_READ.bindparams(complete=position.as_multirange()),
    )
    if only_with_output:
        query = query.where(Execution.last_sequence > 0)
    query = query.order_by(Execution.number).limit(_MOST_AT_ONCE)
    some = list(await session.scalars(query))
    while some:
        yield some
        if len(some) < _MOST_AT_ONCE:
            return
        some = list(await session.scalars(query.where(Execution.number > some[-1].number)))


def finish(executions: Sequence[Execution], position: SandboxPosition) -> bool:
    """Note those that have ended and were read whole; whether there were any."""
    whole = [execution.number for execution in executions if is_read_whole(execution, position)]
    for number in whole:
        position.finish(number)
    return bool(whole)


def is_read_whole(execution: Execution, position: SandboxPosition) -> bool:
    """Whether it has ended and nothing of it is left to read."""
    return execution.has_ended and position.sequence(execution.number) >= execution.last_sequence
