"""Watching sandboxes change."""

from collections.abc import AsyncGenerator, Collection
from uuid import UUID

from sqlalchemy import or_, select

from commandcenter.access.scope import Scope
from commandcenter.sandboxes.errors import SandboxNotFoundError
from commandcenter.sandboxes.queries import find_sandboxes
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from commandcenter.signals import Listener, sandbox_topic

_LOOK_AGAIN_SECONDS = 30.0


async def watch_sandboxes(
    services: Services, scope: Scope, sandbox_id: UUID | None
) -> AsyncGenerator[Sandbox, None]:
    """One sandbox now and at each of its changes; or each of the project's sandboxes that changes.

    Several changes in a moment may be shown as one: what is shown is always the newest state.
    """
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        if sandbox_id is not None:
            async for sandbox in _watch_one(services, scope, sandbox_id, listener):
                yield sandbox
            return
        async for sandbox in _watch_all(services, scope, listener):
            yield sandbox


async def _watch_all(services: Services, scope: Scope, listener: Listener) -> AsyncGenerator[Sandbox, None]:
    shown = {sandbox.id: _state(sandbox) for sandbox in await _read_live(services, scope, [])}
    while True:
        signals = await listener.wait(_LOOK_AGAIN_SECONDS)
        if signals is None:
            # Some may have been missed: of those that lived at the last look, and of all that live now.
            changed = await _read_live(services, scope, list(shown))
        else:
            ids = list(dict.fromkeys(UUID(payload) for _, payload in signals))
            changed = list((await _read(services, scope, ids)).values())
        for sandbox in changed:
            if shown.get(sandbox.id) == _state(sandbox):
                continue
            shown[sandbox.id] = _state(sandbox)
            if sandbox.status is SandboxStatus.TERMINATED:
                del shown[sandbox.id]
            yield sandbox


async def _watch_one(
    services: Services, scope: Scope, sandbox_id: UUID, listener: Listener
) -> AsyncGenerator[Sandbox, None]:
    shown: tuple[object, ...] | None = None
    while True:
        found = await _read(services, scope, [sandbox_id])
        if sandbox_id not in found:
            raise SandboxNotFoundError
        sandbox = found[sandbox_id]
        if _state(sandbox) != shown:
            shown = _state(sandbox)
            yield sandbox
        await listener.wait_for(str(sandbox_id), _LOOK_AGAIN_SECONDS)


async def wait_until_stopped(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """Wait until a running sandbox does not run this life any more; the sandbox as it is then."""
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while True:
            current = (await _read(services, scope, [sandbox.id])).get(sandbox.id)
            if current is None:
                raise SandboxNotFoundError
            if current.status is not SandboxStatus.RUNNING or current.incarnation != sandbox.incarnation:
                return current
            await listener.wait_for(str(sandbox.id), _LOOK_AGAIN_SECONDS)


def _state(sandbox: Sandbox) -> tuple[object, ...]:
    """What a change is a change of."""
    return (sandbox.status, sandbox.status_reason, sandbox.expires_at, sandbox.incarnation)


async def _read_live(services: Services, scope: Scope, also: Collection[UUID]) -> list[Sandbox]:
    """The project's sandboxes that have not ended, and those of `also`."""
    async with services.database.transaction(scope.project_id) as session:
        found = await session.scalars(
            select(Sandbox).where(
                Sandbox.project_id == scope.project_id,
                or_(Sandbox.status != SandboxStatus.TERMINATED, Sandbox.id.in_(also)),
            )
        )
        return list(found)


async def _read(services: Services, scope: Scope, ids: list[UUID]) -> dict[UUID, Sandbox]:
    if not ids:
        return {}
    async with services.database.transaction(scope.project_id) as session:
        return await find_sandboxes(session, scope, ids)
