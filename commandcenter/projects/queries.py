"""Reading projects."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.errors import ForbiddenError
from commandcenter.pages import Page, PageRequest, read_page
from commandcenter.projects.records import Project


async def find_projects(session: AsyncSession, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, Project]:
    """The scope's own project, if it is among `ids`."""
    if scope.project_id not in ids:
        return {}
    return {scope.project_id: await own_project(session, scope)}


async def own_project(session: AsyncSession, scope: Scope) -> Project:
    """The project that the scope acts in."""
    return (await session.execute(select(Project).where(Project.id == scope.project_id))).scalar_one()


async def list_projects(session: AsyncSession, scope: Scope, page: PageRequest) -> Page[Project]:
    """All projects; for instance administrators, in a system transaction."""
    if not scope.is_instance_administrator:
        raise ForbiddenError("Only an instance administrator's key can list all projects.")
    return await read_page(session, select(Project), Project.id, page)
