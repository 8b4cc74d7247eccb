"""Reading the audit trail of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.errors import ForbiddenError
from commandcenter.events.records import Event
from commandcenter.pages import Page, PageRequest, read_page
from commandcenter.texts import require_storable


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Which events of a project are meant; None and empty mean any."""

    kinds: Sequence[str] | None = None
    sandbox_id: UUID | None = None
    subject_id: UUID | None = None


async def list_events(
    session: AsyncSession, scope: Scope, selection: EventSelection, page: PageRequest
) -> Page[Event]:
    """A page of the project's events, newest first."""
    query = select(Event).where(Event.project_id == scope.project_id)
    if selection.kinds:
        for kind in selection.kinds:
            require_storable(kind, "kind")
        query = query.where(Event.kind.in_(selection.kinds))
    if selection.sandbox_id is not None:
        query = query.where(Event.sandbox_id == selection.sandbox_id)
    if selection.subject_id is not None:
        query = query.where(Event.subject_id == selection.subject_id)
    return await read_page(session, query, Event.id, page)


async def list_installation_events(session: AsyncSession, scope: Scope, page: PageRequest) -> Page[Event]:
    """A page of the events that belong to no project, newest first; for instance administrators.

    In a system transaction.
    """
    if not scope.is_instance_administrator:
        raise ForbiddenError("Only an instance administrator's key can see the installation's own events.")
    return await read_page(session, select(Event).where(Event.project_id.is_(None)), Event.id, page)
