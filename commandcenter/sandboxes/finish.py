"""Bringing a sandbox to the end that was wished for: at its provider, then in the record.

One attempt at a time, in whichever process; what fails is tried again by the upkeep, later each time.
"""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import func, update

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.providers.errors import ProviderSandboxGoneError, ProviderTimeoutError
from commandcenter.providers.sandboxes import Provider
from commandcenter.retries import seconds_until_retry
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.due import end_is_due
from commandcenter.sandboxes.marks import INSTANCE_MARK, SANDBOX_MARK
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus, TerminationReason, TimeoutAction
from commandcenter.sandboxes.turns import NO_TURN, try_turn
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic

_log = structlog.get_logger()

ANSWER_SECONDS = 10.0
"""How long a provider is waited for; longer than it takes, short enough to answer whoever asked."""
_TURN = timedelta(seconds=ANSWER_SECONDS + 2)
_LOOK_AGAIN_SECONDS = 0.5
_NOT_PAUSED = "Its time to live ran out, and its provider could not pause it."


async def finish_termination(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """Try to end a sandbox whose end was wished for; the sandbox as it is afterwards.

    Where another process tries already, its outcome is waited for; where it is too early to try again,
    nothing is done.
    """
    async with services.database.transaction(scope.project_id) as session:
        turn = await try_turn(
            session, scope.project_id, sandbox.id, SandboxAction.TERMINATE, end_is_due(), lasting=_TURN
        )
    if turn is None:
        return await _await_others(services, scope, sandbox)
    try:
        await _end_at_provider(services, turn)
    except DomainError as error:
        return await _record_delay(services, scope, turn, error)
    return await _record_end(services, scope, turn)


async def _end_at_provider(services: Services, turn: Sandbox) -> None:
    provider = services.providers.get(turn.provider)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if turn.provider_sandbox_id is not None:
                await provider.kill(turn.provider_sandbox_id)
            else:
                await _kill_by_mark(services, provider, turn)
    except ProviderSandboxGoneError:
        return
    except TimeoutError as error:
        raise ProviderTimeoutError(
            f"Provider {turn.provider} did not answer within {ANSWER_SECONDS:.0f} s."
        ) from error


async def _kill_by_mark(services: Services, provider: Provider, turn: Sandbox) -> None:
    """End what may have been made at the provider without our getting its answer."""
    marks = {INSTANCE_MARK: str(services.instance_id), SANDBOX_MARK: str(turn.id)}
    async for page in provider.list(marks):
        for info in page:
            await provider.kill(info.id)


async def _record_end(services: Services, scope: Scope, turn: Sandbox) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        ended = await change_sandbox(
            session,
            scope,
            turn.id,
            SandboxStatus.TERMINATED,
            terminated_at=now(),
            expires_at=None,
            status_reason=_reason(turn),
            failed_attempts=0,
            retry_at=None,
            only_if=(Sandbox.provider_sandbox_id.is_not_distinct_from(turn.provider_sandbox_id),),
            **NO_TURN,
        )
        if ended is None:
            # Its creation was recorded while its end was on the way: the upkeep ends what is known now.
            await session.execute(
                update(Sandbox).where(Sandbox.id == turn.id).values(**NO_TURN),
                execution_options={"synchronize_session": False},
            )
        result = ended or await get_sandbox(session, scope, turn.id)
    announce_sandbox(services.signals, result)
    return result


def _reason(turn: Sandbox) -> str | None:
    was_to_be_paused = turn.on_timeout is TimeoutAction.PAUSE
    return _NOT_PAUSED if was_to_be_paused and turn.termination_reason is TerminationReason.TTL else None


async def _record_delay(services: Services, scope: Scope, turn: Sandbox, error: DomainError) -> Sandbox:
    attempts = turn.failed_attempts + 1
    seconds = seconds_until_retry(attempts, error)
    _log.warning(
        "sandbox.terminate_failed", sandbox_id=str(turn.id), attempts=attempts, error=error.message[:500]
    )
    services.measurements.count("sandbox_error_total", kind=error.code.lower(), provider=turn.provider)
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == turn.id, Sandbox.action_until == turn.action_until)
            .values(
                status_reason=f"It is to end, and is tried again until it does; tried {attempts} times: "
                f"{error.message}",
                failed_attempts=attempts,
                retry_at=func.now() + timedelta(seconds=seconds),
                **NO_TURN,
            ),
            execution_options={"synchronize_session": False},
        )
        result = await get_sandbox(session, scope, turn.id)
    announce_sandbox(services.signals, result)
    return result


async def _await_others(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """The sandbox once nobody tries to end it at this moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_SECONDS
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while True:
            async with services.database.transaction(scope.project_id) as session:
                current = await get_sandbox(session, scope, sandbox.id)
            is_tried = (
                current.action is SandboxAction.TERMINATE
                and current.action_until is not None
                and current.action_until > now()
            )
            if current.status is SandboxStatus.TERMINATED or not is_tried or loop.time() > deadline:
                return current
            await listener.wait_for(str(sandbox.id), _LOOK_AGAIN_SECONDS)
