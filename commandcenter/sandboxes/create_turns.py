"""Waiting for a creation's turn: one task looks at a provider's queue for all that wait in this process."""

import asyncio

import structlog

from commandcenter.providers.sandboxes import Provider
from commandcenter.sandboxes.create_queue import Round, take_turns
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services
from commandcenter.signals import queue_topic, sandbox_topic

_AFTER_TROUBLE_SECONDS = 1.0

_log = structlog.get_logger()


async def wait_for_turn(services: Services, provider: Provider, sandbox: Sandbox) -> bool:
    """Wait until the sandbox's row says that its provider is being asked for it, by this process.

    False where it does not wait any more: it has ended, or another process makes it. Nothing else ends the
    waiting: the caller bounds it.
    """
    owned = services.owned_creations
    waiting = owned.waiting_at(provider.name)
    turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    waiting[sandbox.id] = turn
    owned.wake_of(provider.name).set()
    if provider.name not in owned.looked_after:
        owned.looked_after.add(provider.name)
        services.background.start(_keep_turns(services, provider), "take-turns")
    try:
        return await turn
    finally:
        waiting.pop(sandbox.id, None)


async def _keep_turns(services: Services, provider: Provider) -> None:
    """Look at the queue, for as long as anybody waits here, when something has changed or may be due."""
    owned = services.owned_creations
    waiting = owned.waiting_at(provider.name)
    try:
        with services.signals.listen(
            queue_topic(provider.name), wake=owned.wake_of(provider.name)
        ) as listener:
            while waiting:
                await listener.wait(await _look_safely(services, provider))
    finally:
        owned.looked_after.discard(provider.name)


async def _look_safely(services: Services, provider: Provider) -> float:
    try:
        return await _look(services, provider)
    except Exception:
        # Whatever it was: who waits must not wait for good because of it.
        _log.warning("turns.look_failed", provider=provider.name, exc_info=True)
        return _AFTER_TROUBLE_SECONDS


async def _look(services: Services, provider: Provider) -> float:
    waiting = services.owned_creations.waiting_at(provider.name)
    mine = list(waiting)
    async with services.database.system_transaction() as session:
        found = await take_turns(session, provider, services.process_id, mine, services.settings.lease)
    _pass_on(services, provider, found)
    for sandbox_id in mine:
        turn = waiting.get(sandbox_id)
        if turn is not None and not turn.done() and sandbox_id not in found.waiting:
            turn.set_result(sandbox_id in found.taken)
    return found.look_again_seconds


def _pass_on(services: Services, provider: Provider, found: Round) -> None:
    for project_id, sandbox_id in found.told:
        services.signals.publish(sandbox_topic(project_id), str(sandbox_id))
    if found.taken:
        services.signals.publish(queue_topic(provider.name), provider.name)
