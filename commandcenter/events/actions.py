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
