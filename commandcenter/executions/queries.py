"""Reading executions of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.executions.errors import ExecutionNotFoundError
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.pages import Page, PageRequest, read_page


@dataclass(frozen=True, slots=True)
class ExecutionSelection:
    """Which executions of a project are meant; None and empty mean any."""

    sandbox_id: UUID | None = None
    statuses: Sequence[ExecutionStatus] | None = None


def select_executions(scope: Scope, selection: ExecutionSelection) -> Select[Execution]:
    """The query for a project's executions, narrowed by `selection`."""
    query = select(Execution).where(Execution.project_id == scope.project_id)
    if selection.sandbox_id is not None:
        query = query.where(Execution.sandbox_id == selection.sandbox_id)
    if selection.statuses:
        query = query.where(Execution.status.in_(selection.statuses))
    return query


async def list_executions(
    session: AsyncSession, scope: Scope, selection: ExecutionSelection, page: PageRequest
) -> Page[Execution]:
    """A page of the project's executions, newest first."""
    return await read_page(session, select_executions(scope, selection), Execution.id, page)


async def find_executions(session: AsyncSession, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, Execution]:
    """Those of `ids` that are the project's, by id."""
    found = await session.scalars(
        select(Execution).where(Execution.project_id == scope.project_id, Execution.id.in_(ids))
    )
    return {execution.id: execution for execution in found}


async def get_execution(session: AsyncSession, scope: Scope, execution_id: UUID) -> Execution:
    """One execution; `ExecutionNotFoundError` where the project has no such one."""
    found = await find_executions(session, scope, [execution_id])
    if execution_id not in found:
        raise ExecutionNotFoundError
    return found[execution_id]
