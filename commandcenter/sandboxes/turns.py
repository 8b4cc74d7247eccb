"""Turns: what is done to a sandbox at its provider is done by one at a time, and to the life that was meant.

A turn is taken in the sandbox's row, so it holds in every process; one whose holder died lapses. Whatever
follows from the provider's answer is written only while the turn is still held. Times are the database's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.providers.errors import ProviderTimeoutError
from commandcenter.sandboxes.changes import announce_sandbox
from commandcenter.sandboxes.errors import SandboxBusyError, SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic

WORK_SECONDS = 35.0
"""Longest that a provider is waited for within a turn; more than any single call to it takes."""
_TURN = timedelta(seconds=WORK_SECONDS + 5)
_WAIT_SECONDS = 45.0
_LOOK_AGAIN_SECONDS = 0.5

NO_TURN: dict[str, Any] = {"action": None, "action_until": None}


def is_free() -> ColumnElement[bool]:
    """Nobody holds the sandbox's turn."""
    return or_(Sandbox.action_until.is_(None), Sandbox.action_until < func.now())


def is_held(turn: Sandbox) -> list[ColumnElement[bool]]:
    """The turn that gave `turn` is held still, in the same life of the sandbox."""
    return [Sandbox.action_until == turn.action_until, Sandbox.incarnation == turn.incarnation]


def is_unchanged(seen: Sandbox) -> list[ColumnElement[bool]]:
    """The sandbox is in the life and state in which it was read, with the same wishes; nobody is at it."""
    return [
        Sandbox.incarnation == seen.incarnation,
        Sandbox.status == seen.status,
        Sandbox.termination_requested_at.is_not_distinct_from(seen.termination_requested_at),
        is_free(),
    ]


async def try_turn(
    session: AsyncSession,
    project_id: UUID,
    sandbox_id: UUID,
    action: SandboxAction,
    conditions: Sequence[ColumnElement[bool]],
    lasting: timedelta = _TURN,
) -> Sandbox | None:
    """Take a sandbox's turn if `conditions` hold at this moment; the sandbox as it is then, or None."""
    taken: Sandbox | None = await session.scalar(
        update(Sandbox)
        .where(Sandbox.id == sandbox_id, Sandbox.project_id == project_id, *conditions)
        .values(action=action, action_until=func.clock_timestamp() + lasting)
        .returning(Sandbox),
        execution_options={"populate_existing": True, "synchronize_session": False},
    )
    return taken


async def take_turn(
    services: Services, scope: Scope, sandbox_id: UUID, action: SandboxAction, needed: SandboxStatus
) -> Sandbox:
    """Take the turn of a sandbox in state `needed`, after whoever holds it.

    `SandboxStateError` where it is in another state or about to end, `SandboxBusyError` where the wait is
    too long.
    """
    conditions = (
        Sandbox.status == needed,
        Sandbox.provider_sandbox_id.is_not(None),
        Sandbox.termination_requested_at.is_(None),
        is_free(),
    )
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while True:
            async with services.database.transaction(scope.project_id) as session:
                taken = await try_turn(session, scope.project_id, sandbox_id, action, conditions)
                if taken is not None:
                    return taken
                _require_state(await get_sandbox(session, scope, sandbox_id), needed)
            if loop.time() > deadline:
                raise SandboxBusyError
            await listener.wait_for(str(sandbox_id), _LOOK_AGAIN_SECONDS)


@asynccontextmanager
async def within_turn(turn: Sandbox) -> AsyncIterator[None]:
    """Bound what is done at the provider, so that it is over before the turn lapses."""
    try:
        async with asyncio.timeout(WORK_SECONDS):
            yield
    except TimeoutError as error:
        raise ProviderTimeoutError(
            f"Provider {turn.provider} did not answer in time. Try again later."
        ) from error


@asynccontextmanager
async def returned_on_failure(services: Services, turn: Sandbox) -> AsyncIterator[None]:
    """Let others have the turn where the block fails; where it succeeds, it ends the turn itself."""
    try:
        yield
    except BaseException:
        await give_turn_back(services, turn)
        announce_sandbox(services.signals, turn)
        raise


async def give_turn_back(services: Services, turn: Sandbox) -> None:
    """Let others have the turn, if it is held still."""
    async with services.database.transaction(turn.project_id) as session:
        await session.execute(
            update(Sandbox).where(Sandbox.id == turn.id, *is_held(turn)).values(**NO_TURN),
            execution_options={"synchronize_session": False},
        )


def _require_state(sandbox: Sandbox, needed: SandboxStatus) -> None:
    if sandbox.status is not needed or sandbox.provider_sandbox_id is None:
        raise SandboxStateError(sandbox, needed)
    if sandbox.termination_requested_at is not None:
        raise SandboxStateError(sandbox, f"{needed} and not about to end")
