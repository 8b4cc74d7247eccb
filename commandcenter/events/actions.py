"""How an event comes to be written."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.events.records import Event


def record_event(
    session: AsyncSession,
    scope: Scope,
    kind: str,
    subject_id: UUID,
    *,
    sandbox_id: UUID | None = None,
    **data: Any,
) -> Event:
    """Write an event in the caller's transaction, so that it stands exactly if the change does.

    `data` must be JSON and free of secrets.
    """
    event = Event(
        project_id=scope.project_id,
        kind=kind,
        subject_id=subject_id,
        sandbox_id=sandbox_id,
        actor=scope.actor,
        address=scope.address,
        data=data,
    )
    session.add(event)
    return event


def record_installation_event(
    session: AsyncSession, task: str, kind: str, subject_id: UUID, **data: Any
) -> Event:
    """Write an event that belongs to no project, in the caller's system transaction."""
    event = Event(project_id=None, kind=kind, subject_id=subject_id, actor=f"system:{task}", data=data)
    session.add(event)
    return event
