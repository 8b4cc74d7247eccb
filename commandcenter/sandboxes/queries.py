"""Reading sandboxes of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.pages import Page, PageRequest, read_page
from commandcenter.sandboxes.errors import SandboxNotFoundError
from commandcenter.sandboxes.records import LARGEST_METADATA_BYTES, Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.texts import require_json_object, require_storable


@dataclass(frozen=True, slots=True)
class SandboxSelection:
    """Which sandboxes of a project are meant; None and empty mean any."""

    statuses: Sequence[SandboxStatus] | None = None
    provider: str | None = None
    template: str | None = None
    name_contains: str | None = None
    metadata_contains: dict[str, object] | None = None


def select_sandboxes(scope: Scope, selection: SandboxSelection) -> Select[Sandbox]:
    """The query for a project's sandboxes, narrowed by `selection`."""
    require_storable(selection.provider, "provider")
    require_storable(selection.template, "template")
    require_storable(selection.name_contains, "nameContains")
    if selection.metadata_contains is not None:
        require_json_object(selection.metadata_contains, "metadata", LARGEST_METADATA_BYTES)
    query = select(Sandbox).where(Sandbox.project_id == scope.project_id)
    if selection.statuses:
        query = query.where(Sandbox.status.in_(selection.statuses))
    if selection.provider is not None:
        query = query.where(Sandbox.provider == selection.provider)
    if selection.template is not None:
        query = query.where(Sandbox.template == selection.template)
    if selection.name_contains:
        query = query.where(Sandbox.name.icontains(selection.name_contains, autoescape=True))
    if selection.metadata_contains:
        query = query.where(Sandbox.user_metadata.contains(selection.metadata_contains))
    return query


async def list_sandboxes(
    session: AsyncSession,
    scope: Scope,
    selection: SandboxSelection,
    page: PageRequest,
    *,
    newest_first: bool = True,
) -> Page[Sandbox]:
    """A page of the project's sandboxes, ended ones too."""
    return await read_page(
        session, select_sandboxes(scope, selection), Sandbox.id, page, newest_first=newest_first
    )


async def find_sandboxes(session: AsyncSession, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, Sandbox]:
    """Those of `ids` that are the project's, by id."""
    found = await session.scalars(
        select(Sandbox).where(Sandbox.project_id == scope.project_id, Sandbox.id.in_(ids))
    )
    return {sandbox.id: sandbox for sandbox in found}


async def get_sandbox(session: AsyncSession, scope: Scope, sandbox_id: UUID) -> Sandbox:
    """One sandbox; `SandboxNotFoundError` where the project has no such one."""
    found = await find_sandboxes(session, scope, [sandbox_id])
    if sandbox_id not in found:
        raise SandboxNotFoundError
    return found[sandbox_id]
