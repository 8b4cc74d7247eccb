"""Making a sandbox whose intent is written down: its turn, the provider, and what came of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from commandcenter.access.scope import Scope
from commandcenter.errors import DomainError
from commandcenter.outages import despite_outages
from commandcenter.providers.errors import (
    NotNow,
    ProviderUnavailableError,
    ProviderUnreachableError,
    is_for_now,
)
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from commandcenter.sandboxes.create_marked import LOOKS_AFTER_SECONDS, find_marked
from commandcenter.sandboxes.create_outcomes import record_failure, record_start, take_back
from commandcenter.sandboxes.create_queue import note_refusal, note_success
from commandcenter.sandboxes.create_turns import wait_for_turn
from commandcenter.sandboxes.errors import CreationFailedError
from commandcenter.sandboxes.marks import provider_metadata
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import TimeoutAction
from commandcenter.services import Services
from commandcenter.signals import queue_topic


@dataclass(frozen=True, slots=True)
class Creation:
    """A sandbox that this process makes, with its row as it was written or taken up.

    Times are the event loop's: a failure before `answer_by` is its request's answer, a later one the
    sandbox's state; `give_up_at` bounds its waiting.
    """

    scope: Scope
    provider: Provider
    sandbox: Sandbox
    answer_by: float
    give_up_at: float
    environment: dict[str, str] = field(default_factory=dict, repr=False)


async def make_sandbox(services: Services, creation: Creation) -> Sandbox:
    """Make it, however often the provider says "not now"; returns its row, or raises why it was not made."""
    with services.owned_creations.owning(creation.sandbox.id):
        waits = creation.sandbox.asked_at is None
        refusal: DomainError | None = None
        while True:
            if waits and not await _wait(services, creation, refusal):
                return await _read(services, creation)
            try:
                made = await _ask(services, creation)
            except DomainError as error:
                _count(services, creation, error)
                if not is_for_now(error):
                    return await _settle(services, creation, error)
                if found := await _settle_for_now(services, creation, error):
                    return found
                waits, refusal = True, error
            else:
                return await _start(services, creation, made, has_waited=waits)


async def _wait(services: Services, creation: Creation, refusal: DomainError | None) -> bool:
    try:
        async with asyncio.timeout_at(creation.give_up_at):
            return await wait_for_turn(services, creation.provider, creation.sandbox)
    except TimeoutError:
        last = f" The last answer was: {refusal.message}" if refusal is not None else ""
        error = CreationFailedError(
            f"Its turn at {creation.provider.name} did not come within "
            f"{services.settings.creation_seconds:g} s.{last} Ask again."
        )
        await _give_up(services, creation, error)
        raise error from refusal


async def _ask(services: Services, creation: Creation) -> ProviderSandbox:
    sandbox = creation.sandbox
    return await creation.provider.create(
        template=sandbox.template,
        ttl_seconds=sandbox.ttl_seconds,
        metadata=provider_metadata(services.instance_id, sandbox),
        envs=creation.environment,
        allow_internet=sandbox.allow_internet,
        on_timeout="pause" if sandbox.on_timeout is TimeoutAction.PAUSE else "kill",
        idempotency_key=str(sandbox.id),
    )


async def _start(
    services: Services, creation: Creation, made: ProviderSandbox, *, has_waited: bool = False
) -> Sandbox:
    started = await record_start(services, creation.scope, creation.provider, creation.sandbox, made)
    if has_waited:
        async with services.database.system_transaction() as session:
            await note_success(session, creation.provider.name)
        _wake_queue(services, creation)
    return started


async def _settle_for_now(services: Services, creation: Creation, error: NotNow) -> Sandbox | None:
    """Go back into the queue, or return the row where there is nothing to wait for any more."""
    if isinstance(error, ProviderUnavailableError) and (found := await _adopt(services, creation, (0,))):
        return found
    waits = await despite_outages(partial(_go_back, services, creation, error.retry_after_seconds))
    _wake_queue(services, creation)
    return None if waits else await _read(services, creation)


async def _go_back(services: Services, creation: Creation, advised_seconds: float | None) -> bool:
    async with services.database.system_transaction() as session:
        return await note_refusal(
            session, creation.provider.name, creation.sandbox.id, services.process_id, advised_seconds
        )


async def _settle(services: Services, creation: Creation, error: DomainError) -> Sandbox:
    """Find out what became of a creation whose outcome is not known; raise `error` where nothing did."""
    is_unknown = isinstance(error, ProviderUnavailableError) and not isinstance(
        error, ProviderUnreachableError
    )
    if is_unknown and (found := await _adopt(services, creation, LOOKS_AFTER_SECONDS)):
        return found
    if is_unknown:
        await record_failure(services, creation.scope, creation.sandbox, error)
    else:
        await _give_up(services, creation, error)
    raise error


async def _adopt(
    services: Services, creation: Creation, looks_after_seconds: Sequence[float]
) -> Sandbox | None:
    found = await find_marked(services, creation.provider, creation.sandbox, looks_after_seconds)
    if found is None:
        return None
    return await record_start(
        services, creation.scope, creation.provider, creation.sandbox, found, adopted=True
    )


async def _give_up(services: Services, creation: Creation, error: DomainError) -> None:
    """Take the intent back where the error still answers the request; else keep it as FAILED."""
    is_answer = asyncio.get_running_loop().time() < creation.answer_by
    settle = take_back if is_answer else record_failure
    await settle(services, creation.scope, creation.sandbox, error)


async def _read(services: Services, creation: Creation) -> Sandbox:
    async with services.database.transaction(creation.scope.project_id) as session:
        return await get_sandbox(session, creation.scope, creation.sandbox.id)


def _wake_queue(services: Services, creation: Creation) -> None:
    services.signals.publish(queue_topic(creation.provider.name), creation.provider.name)


def _count(services: Services, creation: Creation, error: DomainError) -> None:
    name = creation.provider.name
    services.measurements.count("sandbox_error_total", kind=error.code.lower(), provider=name)
