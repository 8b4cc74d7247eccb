"""Settling what providers have against what our records say, in both directions.

Records are read before the provider's list, and changed only if their incarnation is still the same; so a
list that is older than a resume changes nothing. Only sandboxes with this installation's mark are touched,
and those without a record only after a grace period.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update

from commandcenter.access.scope import Scope, system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.providers.sandboxes import Provider, ProviderSandboxInfo
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.marks import INSTANCE_MARK, SANDBOX_MARK
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason
from commandcenter.services import Services

_log = structlog.get_logger()

_GRACE = timedelta(seconds=30)
_LONGEST_CREATION = timedelta(seconds=120)
_STOPPED_BY_PROVIDER = "Its provider paused it; resume it to go on."


@dataclass(frozen=True, slots=True)
class _Known:
    """A record as it was before its provider was asked."""

    id: UUID
    project_id: UUID
    provider_sandbox_id: str | None
    status: SandboxStatus
    incarnation: int
    is_young: bool


async def reconcile(services: Services) -> None:
    """Settle every provider that answers; one that does not is left for the next round."""
    for provider in services.providers:
        try:
            await _reconcile_provider(services, provider)
        except DomainError as error:
            _log.warning("reconcile.provider_failed", provider=provider.name, error=error.message)


async def _reconcile_provider(services: Services, provider: Provider) -> None:
    known = await _known(services, provider.name)
    listed: dict[str, ProviderSandboxInfo] = {}
    async for page in provider.list({INSTANCE_MARK: str(services.instance_id)}):
        listed.update({info.id: info for info in page})
    for record in known:
        await _settle_record(services, record, listed.get(record.provider_sandbox_id or ""))
    owned = {record.provider_sandbox_id for record in known}
    for info in listed.values():
        if info.id not in owned and info.started_at < now() - _GRACE:
            await _end_orphan(services, provider, info)


async def _known(services: Services, provider: str) -> list[_Known]:
    async with services.database.system_transaction() as session:
        found = await session.scalars(
            select(Sandbox).where(
                Sandbox.provider == provider,
                Sandbox.status.in_((SandboxStatus.CREATING, SandboxStatus.RUNNING, SandboxStatus.PAUSED)),
            )
        )
        return [
            _Known(
                id=sandbox.id,
                project_id=sandbox.project_id,
                provider_sandbox_id=sandbox.provider_sandbox_id,
                status=sandbox.status,
                incarnation=sandbox.incarnation,
                is_young=sandbox.created_at > now() - _LONGEST_CREATION,
            )
            for sandbox in found
        ]


async def _settle_record(services: Services, record: _Known, info: ProviderSandboxInfo | None) -> None:
    scope = system_scope(record.project_id, "reconcile")
    if record.status is SandboxStatus.CREATING:
        if not record.is_young:
            await _change(
                services,
                scope,
                record,
                SandboxStatus.FAILED,
                status_reason="Its creation was never finished: the process that made it ended.",
                idempotency_key=None,
            )
    elif info is None:
        await _end_vanished(services, scope, record)
    elif info.state == "paused" and record.status is SandboxStatus.RUNNING:
        await _change(
            services,
            scope,
            record,
            SandboxStatus.PAUSED,
            status_reason=_STOPPED_BY_PROVIDER,
            expires_at=None,
        )


async def _end_vanished(services: Services, scope: Scope, record: _Known) -> None:
    async with services.database.transaction(scope.project_id) as session:
        # The reason of an end that was wished for, or was due, stands.
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == record.id, Sandbox.termination_reason.is_(None), Sandbox.expires_at <= now())
            .values(termination_reason=TerminationReason.TTL)
        )
        await session.execute(
            update(Sandbox)
            .where(Sandbox.id == record.id, Sandbox.termination_reason.is_(None))
            .values(
                termination_reason=TerminationReason.PROVIDER,
                status_reason="Its provider does not have it any more.",
            )
        )
        ended = await change_sandbox(
            session, scope, record.id, SandboxStatus.TERMINATED, terminated_at=now(), expires_at=None
        )
    if ended is not None:
        announce_sandbox(services.signals, ended)


async def _change(
    services: Services, scope: Scope, record: _Known, target: SandboxStatus, **values: Any
) -> None:
    async with services.database.transaction(scope.project_id) as session:
        current = await session.get(Sandbox, record.id, with_for_update=True)
        if current is None or current.incarnation != record.incarnation:
            return
        changed = await change_sandbox(session, scope, record.id, target, **values)
    if changed is not None:
        announce_sandbox(services.signals, changed)


async def _end_orphan(services: Services, provider: Provider, info: ProviderSandboxInfo) -> None:
    """End a sandbox of ours that no living record stands for."""
    await provider.kill(info.id)
    _log.warning("reconcile.orphan_ended", provider=provider.name, provider_sandbox_id=info.id)
    try:
        sandbox_id = UUID(info.metadata[SANDBOX_MARK])
    except (KeyError, ValueError):
        return
    async with services.database.system_transaction() as session:
        sandbox = await session.get(Sandbox, sandbox_id)
        if sandbox is not None:
            scope = system_scope(sandbox.project_id, "reconcile")
            record_event(session, scope, "sandbox.orphan_ended", sandbox.id, sandbox_id=sandbox.id)
