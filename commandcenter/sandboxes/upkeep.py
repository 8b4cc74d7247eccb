"""What must happen to sandboxes without anybody asking: timers, ends that are due, and what providers did.

Everything is read from rows, so it holds whichever process runs it, and after any restart. The worker
calls `keep_up` every second or two.
"""

from collections.abc import Awaitable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy import Select, exists, select

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED
from commandcenter.sandboxes.pause import pause_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason, TimeoutAction
from commandcenter.sandboxes.terminate import finish_termination, terminate_sandbox
from commandcenter.services import Services

_log = structlog.get_logger()

_MOST_AT_ONCE = 100
_RETRY_TERMINATION_AFTER = timedelta(seconds=10)


async def keep_up(services: Services) -> None:
    """One round of what is due: expiry, idleness, and ends that a provider has not confirmed yet."""
    for sandbox in await _read(services, _expired()):
        await _guarded(_expire(services, sandbox), sandbox)
    for sandbox in await _read(services, _idle()):
        scope = system_scope(sandbox.project_id, "idle")
        await _guarded(terminate_sandbox(services, scope, sandbox.id, TerminationReason.IDLE), sandbox)
    for sandbox in await _read(services, _unfinished_ends()):
        scope = system_scope(sandbox.project_id, "termination")
        await _guarded(finish_termination(services, scope, sandbox), sandbox)


async def _expire(services: Services, sandbox: Sandbox) -> None:
    scope = system_scope(sandbox.project_id, "expiry")
    if sandbox.on_timeout is TimeoutAction.PAUSE:
        await pause_sandbox(
            services, scope, sandbox.id, because="Its time to live ran out; resume it to go on."
        )
    else:
        await terminate_sandbox(services, scope, sandbox.id, TerminationReason.TTL)


async def _read(services: Services, query: Select[Sandbox]) -> Sequence[Sandbox]:
    async with services.database.system_transaction() as session:
        return list(await session.scalars(query.limit(_MOST_AT_ONCE)))


async def _guarded(work: Awaitable[object], sandbox: Sandbox) -> None:
    """One sandbox's trouble must not keep the others waiting."""
    try:
        await work
    except DomainError as error:
        _log.warning("upkeep.failed", sandbox_id=str(sandbox.id), error=error.message)


def _expired() -> Select[Sandbox]:
    return select(Sandbox).where(
        Sandbox.status == SandboxStatus.RUNNING,
        Sandbox.expires_at <= now(),
        Sandbox.termination_requested_at.is_(None),
    )


def _idle() -> Select[Sandbox]:
    busy = exists().where(Execution.sandbox_id == Sandbox.id, Execution.status.not_in(ENDED))
    idle_since = Sandbox.last_activity_at + Sandbox.idle_timeout_seconds * timedelta(seconds=1)
    return select(Sandbox).where(
        Sandbox.status == SandboxStatus.RUNNING,
        Sandbox.idle_timeout_seconds.is_not(None),
        Sandbox.termination_requested_at.is_(None),
        idle_since <= now(),
        ~busy,
    )


def _unfinished_ends() -> Select[Sandbox]:
    """Ends that were wished for a while ago and have not come: their process died, or the provider failed."""
    return select(Sandbox).where(
        Sandbox.status != SandboxStatus.TERMINATED,
        Sandbox.termination_requested_at <= now() - _RETRY_TERMINATION_AFTER,
    )
