"""What must happen to sandboxes without anybody asking: timers, and ends that are due.

Everything is read from rows, so it holds whichever process runs it, and after any restart. The worker
calls `keep_up` every second or two, for each provider by itself, and does not wait for the round before:
whatever is under way holds its sandbox's turn, so one that hangs holds up no other.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from commandcenter.access.scope import system_scope
from commandcenter.sandboxes.due import end_is_due, expired, idle
from commandcenter.sandboxes.expire import expire
from commandcenter.sandboxes.finish import finish_termination
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.rounds import do_all
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason
from commandcenter.sandboxes.terminate import terminate_sandbox
from commandcenter.services import Services

_MOST_OF_A_KIND = 100
_STEP_SECONDS = 45.0


async def providers_in_use(services: Services) -> Sequence[str]:
    """The providers, configured or not, of sandboxes that have not ended."""
    async with services.database.system_transaction() as session:
        names = select(Sandbox.provider).where(Sandbox.status != SandboxStatus.TERMINATED).distinct()
        return list(await session.scalars(names))


async def keep_up(services: Services, provider: str) -> None:
    """One round of what is due at a provider: expiry, idleness, and ends that it has not confirmed yet."""
    due = (
        (expired(), Sandbox.expires_at, expire),
        (idle(), Sandbox.last_activity_at, _stop_idle),
        (end_is_due(), Sandbox.termination_requested_at, _finish),
    )
    steps = [
        partial(act, services, sandbox)
        for conditions, since, act in due
        for sandbox in await _read(services, provider, conditions, since)
    ]
    await do_all("upkeep", provider, steps, step_seconds=_STEP_SECONDS)


async def _read(
    services: Services,
    provider: str,
    conditions: Sequence[ColumnElement[bool]],
    since: InstrumentedAttribute[Any],
) -> Sequence[Sandbox]:
    query = select(Sandbox).where(Sandbox.provider == provider, *conditions)
    async with services.database.system_transaction() as session:
        return list(await session.scalars(query.order_by(since).limit(_MOST_OF_A_KIND)))


async def _stop_idle(services: Services, sandbox: Sandbox) -> None:
    scope = system_scope(sandbox.project_id, "idle")
    still = (*idle(), Sandbox.incarnation == sandbox.incarnation)
    await terminate_sandbox(services, scope, sandbox.id, TerminationReason.IDLE, only_if=still)


async def _finish(services: Services, sandbox: Sandbox) -> None:
    await finish_termination(services, system_scope(sandbox.project_id, "termination"), sandbox)
