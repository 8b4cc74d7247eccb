"""What one can do with projects."""

from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.errors import ConflictError, ForbiddenError, InvalidError
from commandcenter.events.actions import record_event
from commandcenter.projects.records import Project
from commandcenter.rates.allowances import MOST_OPERATION_POINTS
from commandcenter.texts import require_text

_LONGEST_NAME = 100
_LONGEST_TTL_SECONDS = 30 * 86_400
_MOST_SANDBOXES = 100_000
_MOST_FORKS = 1_000
_MOST_SNAPSHOTS = 10_000
_MOST_REQUESTS_PER_MINUTE = 10_000_000
_MOST_POINTS_PER_MINUTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """A project's limits; None: as it is, or as by default. Times in seconds."""

    default_ttl_seconds: int | None = None
    max_ttl_seconds: int | None = None
    max_sandboxes: int | None = None
    max_parallel_forks: int | None = None
    max_snapshots: int | None = None
    max_requests_per_minute: int | None = None
    max_points_per_minute: int | None = None


async def create_project(session: AsyncSession, scope: Scope, name: str, limits: ProjectLimits) -> Project:
    """Make a project; in a system transaction, by an instance administrator."""
    _require_instance_administrator(scope)
    name = _valid_name(name)
    if await session.scalar(select(Project.id).where(Project.name == name)):
        raise ConflictError("There is a project of this name already.", ("name",))
    project = Project(
        name=name,
        default_ttl_seconds=3600,
        max_ttl_seconds=86_400,
        max_sandboxes=100,
        max_parallel_forks=5,
        max_snapshots=20,
        max_requests_per_minute=60_000,
        max_points_per_minute=1_200_000,
    )
    _set_limits(project, limits)
    session.add(project)
    await session.flush()
    await session.refresh(project)
    record_event(session, scope, "project.created", project.id, name=name)
    return project


async def update_project(
    session: AsyncSession, scope: Scope, name: str | None, limits: ProjectLimits
) -> Project:
    """Change the name or limits of the project that the scope acts in."""
    scope.require(Role.ADMINISTRATOR)
    project = (
        await session.execute(
            select(Project).where(Project.id == scope.project_id).with_for_update(key_share=True)
        )
    ).scalar_one()
    if name is not None and (name := _valid_name(name)) != project.name:
        if not scope.is_instance_administrator:
            raise ForbiddenError("Only an instance administrator's key can rename a project.")
        project.name = name
    _set_limits(project, limits)
    changed = {key: value for key, value in asdict(limits).items() if value is not None}
    record_event(session, scope, "project.updated", project.id, name=project.name, **changed)
    await session.flush()
    return project


def _set_limits(project: Project, limits: ProjectLimits) -> None:
    bounds = {
        "default_ttl_seconds": (1, _LONGEST_TTL_SECONDS),
        "max_ttl_seconds": (1, _LONGEST_TTL_SECONDS),
        "max_sandboxes": (0, _MOST_SANDBOXES),
        "max_parallel_forks": (0, _MOST_FORKS),
        "max_snapshots": (0, _MOST_SNAPSHOTS),
        "max_requests_per_minute": (1, _MOST_REQUESTS_PER_MINUTE),
        "max_points_per_minute": (MOST_OPERATION_POINTS, _MOST_POINTS_PER_MINUTE),
    }
    for name, (least, most) in bounds.items():
        value = getattr(limits, name)
        if value is None:
            continue
        if not least <= value <= most:
            raise InvalidError(f"{_camel(name)} must be between {least} and {most}.", (_camel(name),))
        setattr(project, name, value)
    if project.default_ttl_seconds > project.max_ttl_seconds:
        raise InvalidError("defaultTtlSeconds must not exceed maxTtlSeconds.", ("defaultTtlSeconds",))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _valid_name(name: str) -> str:
    require_text(name, "name", _LONGEST_NAME)
    return name.strip()


def _require_instance_administrator(scope: Scope) -> None:
    if not scope.is_instance_administrator:
        raise ForbiddenError("Only an instance administrator's key can make projects.")
