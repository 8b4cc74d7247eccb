"""What the viewer and project fields and mutations do."""

from dataclasses import dataclass
from typing import Any

from strawberry import ID, Parent

from commandcenter.access.scope import Role
from commandcenter.projects.actions import ProjectLimits, create_project, update_project
from commandcenter.projects.queries import list_projects, own_project
from commandcenter.projects.records import Project
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id
from resolvers.outcomes import Outcome, outcome_of

TYPE = "Project"


@dataclass(frozen=True, slots=True)
class ViewerView:
    """Whose key a request carries."""

    name: str
    role: Role
    project: Project


def project_id(root: Parent[Any]) -> ID:
    """`Project.id`."""
    return global_id(TYPE, root.id)


async def viewer(info: Info) -> ViewerView:
    """`Query.viewer`."""
    scope = info.context.scope
    return ViewerView(name=scope.key_name or scope.actor, role=scope.role, project=await project(info))


async def project(info: Info) -> Project:
    """`Query.project`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        return await own_project(session, context.scope)


async def project_page(info: Info, first: int | None, after: str | None) -> ConnectionView[Project]:
    """`Query.projects`."""
    context = info.context
    async with context.services.database.system_transaction() as session:
        page = await list_projects(session, context.scope, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda one: one.id)


async def count_projects(root: Parent[Any], info: Info) -> int:
    """`ProjectConnection.totalCount`."""
    async with info.context.services.database.system_transaction() as session:
        return int(await root.page.count(session))


async def create(info: Info, name: str, limits: ProjectLimits) -> Outcome[Project]:
    """`createProject`."""

    async def work() -> Project:
        async with info.context.services.database.system_transaction() as session:
            return await create_project(session, info.context.scope, name, limits)

    return await outcome_of(work())


async def update(info: Info, name: str | None, limits: ProjectLimits) -> Outcome[Project]:
    """`updateProject`."""

    async def work() -> Project:
        context = info.context
        async with context.services.database.transaction(context.scope.project_id) as session:
            return await update_project(session, context.scope, name, limits)

    return await outcome_of(work())
