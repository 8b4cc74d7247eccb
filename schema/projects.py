"""Projects: whose everything is; and who asks."""

from datetime import datetime
from typing import Any

import strawberry

from commandcenter.access.scope import Role
from commandcenter.projects.actions import ProjectLimits
from commandcenter.projects.records import Project as ProjectRecord
from resolvers import keys, projects
from resolvers.context import Info
from resolvers.outcomes import Outcome
from schema.arguments import After, First, Input
from schema.costs import READS_MANY
from schema.errors import UserError, user_errors
from schema.keys import ApiKey
from schema.nodes import Connection, Edge, Node, PageInfo
from schema.views import view


@strawberry.type(description="A project: the wall between teams, and the holder of limits.")
class Project(Node):
    id: strawberry.ID = strawberry.field(
        resolver=projects.project_id, description="Opaque and globally unique."
    )
    name: str = strawberry.field(description="Its name, unique in this installation.")
    default_ttl_seconds: int = strawberry.field(
        description="The time to live of sandboxes that ask for none, in seconds."
    )
    max_ttl_seconds: int = strawberry.field(
        description="How long a sandbox may run in all, in seconds; while it is paused does not count."
    )
    max_sandboxes: int = strawberry.field(description="How many sandboxes may be live at a time.")
    max_parallel_forks: int = strawberry.field(description="How many forks work at a time.")
    max_snapshots: int = strawberry.field(description="How many snapshots it may keep.")
    max_requests_per_minute: int = strawberry.field(
        description="How many requests its keys may make together in a minute, a sixth of them at once."
    )
    max_points_per_minute: int = strawberry.field(
        description="How many points its keys may spend together on operations in a minute."
    )
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether a record is shown as this type."""
        return isinstance(value, (cls, ProjectRecord))

    @strawberry.field(description="Its API keys, newest first; for administrators.")
    async def api_keys(self, info: Info, first: First = None, after: After = None) -> Connection[ApiKey]:
        return view(Connection[ApiKey], await keys.key_page(info, first, after))


@strawberry.type(description="A page of all projects.")
class ProjectConnection:
    edges: list[Edge[Project]] = strawberry.field(description="The projects with their cursors.")
    nodes: list[Project] = strawberry.field(description="The projects.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    total_count: int = strawberry.field(
        resolver=projects.count_projects,
        metadata=READS_MANY,
        description="How many projects there are.",
    )


@strawberry.type(description="Whose key the request carries.")
class Viewer:
    name: str = strawberry.field(description="The key's name.")
    role: Role = strawberry.field(description="What the key may do.")
    project: Project = strawberry.field(description="The project that the key acts in.")


@strawberry.input(description="A new project. Times are in seconds.")
class CreateProjectInput:
    name: str = strawberry.field(description="Its name, unique in this installation.")
    default_ttl_seconds: int | None = strawberry.field(
        default=None, description="The time to live of sandboxes that ask for none; 3600 unless given."
    )
    max_ttl_seconds: int | None = strawberry.field(
        default=None, description="How long a sandbox lives at most; 86400 unless given."
    )
    max_sandboxes: int | None = strawberry.field(
        default=None, description="How many sandboxes may be live at a time; 100 unless given."
    )
    max_parallel_forks: int | None = strawberry.field(
        default=None, description="How many forks work at a time; 5 unless given."
    )
    max_snapshots: int | None = strawberry.field(
        default=None, description="How many snapshots it may keep; 20 unless given."
    )
    max_requests_per_minute: int | None = strawberry.field(
        default=None, description="How many requests its keys may make in a minute; 60000 unless given."
    )
    max_points_per_minute: int | None = strawberry.field(
        default=None, description="How many points its keys may spend in a minute; 1200000 unless given."
    )


@strawberry.input(description="What to change of the key's project; what is not given stays as it is.")
class UpdateProjectInput:
    name: str | None = strawberry.field(default=None, description="Its new name.")
    default_ttl_seconds: int | None = strawberry.field(
        default=None, description="The time to live of sandboxes that ask for none, in seconds."
    )
    max_ttl_seconds: int | None = strawberry.field(
        default=None, description="How long a sandbox lives at most, in seconds."
    )
    max_sandboxes: int | None = strawberry.field(
        default=None, description="How many sandboxes may be live at a time."
    )
    max_parallel_forks: int | None = strawberry.field(
        default=None, description="How many forks work at a time."
    )
    max_snapshots: int | None = strawberry.field(default=None, description="How many snapshots it may keep.")
    max_requests_per_minute: int | None = strawberry.field(
        default=None, description="How many requests its keys may make together in a minute, at least 1."
    )
    max_points_per_minute: int | None = strawberry.field(
        default=None, description="How many points its keys may spend together in a minute, at least 20000."
    )


@strawberry.type(description="What came of a change to a project.")
class ProjectPayload:
    project: Project | None = strawberry.field(description="The project; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _payload(outcome: Outcome[ProjectRecord]) -> ProjectPayload:
    return ProjectPayload(
        project=view(Project, outcome.value) if outcome.value else None,
        user_errors=user_errors(outcome.errors),
    )


def _limits(given: CreateProjectInput | UpdateProjectInput) -> ProjectLimits:
    return ProjectLimits(
        default_ttl_seconds=given.default_ttl_seconds,
        max_ttl_seconds=given.max_ttl_seconds,
        max_sandboxes=given.max_sandboxes,
        max_parallel_forks=given.max_parallel_forks,
        max_snapshots=given.max_snapshots,
        max_requests_per_minute=given.max_requests_per_minute,
        max_points_per_minute=given.max_points_per_minute,
    )


@strawberry.type
class ProjectQueries:
    @strawberry.field(description="Whose key this is.")
    async def viewer(self, info: Info) -> Viewer:
        return view(Viewer, await projects.viewer(info))

    @strawberry.field(description="The project that the key acts in.")
    async def project(self, info: Info) -> Project:
        return view(Project, await projects.project(info))

    @strawberry.field(description="All projects; for instance administrators.")
    async def projects(self, info: Info, first: First = None, after: After = None) -> ProjectConnection:
        return view(ProjectConnection, await projects.project_page(info, first, after))


@strawberry.type
class ProjectMutations:
    @strawberry.mutation(description="Make a project; for instance administrators.")
    async def create_project(self, info: Info, input: Input[CreateProjectInput]) -> ProjectPayload:
        return _payload(await projects.create(info, input.name, _limits(input)))

    @strawberry.mutation(description="Change the limits of the key's project; for administrators.")
    async def update_project(self, info: Info, input: Input[UpdateProjectInput]) -> ProjectPayload:
        return _payload(await projects.update(info, input.name, _limits(input)))
