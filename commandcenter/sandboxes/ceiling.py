"""How long a sandbox of a project may run in all; while it is paused does not count."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.clock import now
from commandcenter.events.records import Event
from commandcenter.projects.records import Project
from commandcenter.sandboxes.errors import SandboxCeilingError
from commandcenter.sandboxes.records import Sandbox

_BEGINNINGS = ("sandbox.started", "sandbox.resumed")
_PAUSED = "sandbox.paused"


async def require_seconds_left(session: AsyncSession, sandbox: Sandbox) -> int:
    """For how many seconds the sandbox may run on, at least 1; `SandboxCeilingError` where for none."""
    project = (await session.execute(select(Project).where(Project.id == sandbox.project_id))).scalar_one()
    turns = await session.execute(
        select(Event.kind, Event.at)
        .where(
            Event.project_id == sandbox.project_id,
            Event.sandbox_id == sandbox.id,
            Event.kind.in_((*_BEGINNINGS, _PAUSED)),
        )
        .order_by(Event.at)
    )
    ran = _time_run([(kind, at) for kind, at in turns], now())
    left = int(project.max_ttl_seconds - ran.total_seconds())
    if left < 1:
        raise SandboxCeilingError(project.max_ttl_seconds)
    return left


def _time_run(turns: list[tuple[str, datetime]], until: datetime) -> timedelta:
    ran = timedelta()
    running_since: datetime | None = None
    for kind, at in turns:
        if running_since is not None:
            ran += at - running_since
        running_since = None if kind == _PAUSED else at
    return ran if running_since is None else ran + (until - running_since)
