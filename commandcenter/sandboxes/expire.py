"""What happens when a sandbox's time to live runs out: it ends, or, where that was asked for, is paused."""

from datetime import timedelta

import structlog
from sqlalchemy import func, update

from commandcenter.access.scope import Scope, system_scope
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.retries import seconds_until_retry
from commandcenter.sandboxes.changes import announce_sandbox
from commandcenter.sandboxes.due import expired
from commandcenter.sandboxes.pause import pause_in_turn, provider_id
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, TerminationReason, TimeoutAction
from commandcenter.sandboxes.terminate import terminate_sandbox
from commandcenter.sandboxes.turns import NO_TURN, is_held, try_turn
from commandcenter.services import Services

_log = structlog.get_logger()

_MOST_PAUSES = 5
"""So often it is tried at a provider that answers; then the sandbox ends, so as not to cost for ever."""
_BECAUSE = "Its time to live ran out; resume it to go on."


async def expire(services: Services, sandbox: Sandbox) -> None:
    """End or pause a sandbox whose time is over, if that holds still and for the life that was read."""
    scope = system_scope(sandbox.project_id, "expiry")
    still = (*expired(), Sandbox.incarnation == sandbox.incarnation)
    if sandbox.on_timeout is TimeoutAction.TERMINATE:
        await terminate_sandbox(services, scope, sandbox.id, TerminationReason.TTL, only_if=still)
        return
    async with services.database.transaction(sandbox.project_id) as session:
        turn = await try_turn(session, sandbox.project_id, sandbox.id, SandboxAction.PAUSE, still)
    if turn is None:
        return
    try:
        await pause_in_turn(services, scope, turn, _BECAUSE)
    except DomainError as error:
        await _record_failure(services, scope, turn, error)
        if turn.failed_attempts + 1 >= _MOST_PAUSES and await _runs_on(services, turn):
            await _give_up(services, scope, turn, error)


async def _record_failure(services: Services, scope: Scope, turn: Sandbox, error: DomainError) -> None:
    attempts = turn.failed_attempts + 1
    _log.warning(
        "sandbox.pause_failed", sandbox_id=str(turn.id), attempts=attempts, error=error.message[:500]
    )
    services.measurements.count("sandbox_error_total", kind=error.code.lower(), provider=turn.provider)
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == turn.id, *is_held(turn))
            .values(
                status_reason="Its time to live ran out, and it is to be paused; "
                f"tried {attempts} times: {error.message}",
                failed_attempts=attempts,
                retry_at=func.now() + timedelta(seconds=seconds_until_retry(attempts, error)),
                **NO_TURN,
            ),
            execution_options={"synchronize_session": False},
        )
    announce_sandbox(services.signals, turn)


async def _runs_on(services: Services, turn: Sandbox) -> bool:
    """Whether the provider answers, and says that the sandbox runs."""
    try:
        info = await services.providers.get(turn.provider).info(provider_id(turn))
    except DomainError:
        return False
    return info.state == "running"


async def _give_up(services: Services, scope: Scope, turn: Sandbox, error: DomainError) -> None:
    async with services.database.transaction(scope.project_id) as session:
        record_event(
            session,
            scope,
            "sandbox.pause_given_up",
            turn.id,
            sandbox_id=turn.id,
            attempts=turn.failed_attempts + 1,
            message=error.message,
        )
    same_life = (Sandbox.incarnation == turn.incarnation, Sandbox.expires_at == turn.expires_at)
    await terminate_sandbox(services, scope, turn.id, TerminationReason.TTL, only_if=same_life)
