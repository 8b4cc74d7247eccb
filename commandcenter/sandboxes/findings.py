"""What the sweep found and did: an event where it belongs, a count, and a line in the log.

A finding is of the project that the sandbox belongs to; where there is no such project, it is the
installation's own.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select

from commandcenter.access.scope import system_scope
from commandcenter.events.actions import record_event, record_installation_event
from commandcenter.projects.records import Project
from commandcenter.services import Services

_log = structlog.get_logger()

TASK = "reconcile"


class Finding(StrEnum):
    """Ways in which a provider and our records may disagree; the kinds of their events."""

    VANISHED = "sandbox.vanished"
    FOUND_PAUSED = "sandbox.found_paused"
    PAUSED_AGAIN = "sandbox.paused_again"
    ORPHAN_ENDED = "sandbox.orphan_ended"


def count_finding(services: Services, provider: str, finding: Finding, **details: Any) -> None:
    """Count a finding that was acted on, and log it."""
    services.measurements.count(
        "reconcile_findings_total", provider=provider, finding=finding.partition(".")[2]
    )
    _log.warning("reconcile.finding", finding=finding, provider=provider, **details)


async def note_finding(
    services: Services,
    provider: str,
    finding: Finding,
    *,
    project_id: UUID | None,
    sandbox_id: UUID | None,
    **details: Any,
) -> None:
    """Note a finding that changed no record, as an event of the project, or of the installation."""
    async with services.database.system_transaction() as session:
        known = project_id is not None and await session.scalar(
            select(Project.id).where(Project.id == project_id)
        )
        subject = sandbox_id or services.instance_id
        if known and project_id is not None:
            scope = system_scope(project_id, TASK)
            record_event(
                session, scope, finding, subject, sandbox_id=sandbox_id, provider=provider, **details
            )
        else:
            record_installation_event(session, TASK, finding, subject, provider=provider, **details)
    count_finding(services, provider, finding, sandbox_id=str(sandbox_id), **details)
