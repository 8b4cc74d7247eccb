"""Ending sandboxes of ours at a provider that no living record stands for."""

from datetime import datetime
from uuid import UUID

import structlog

from commandcenter.access.scope import Scope, system_scope
from commandcenter.clock import now
from commandcenter.events.actions import record_event
from commandcenter.providers.sandboxes import Provider, ProviderSandboxInfo
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.doubts import Patience
from commandcenter.sandboxes.marks import SANDBOX_MARK
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import LIVE, SandboxStatus, TerminationReason
from commandcenter.services import Services

_log = structlog.get_logger()

_EVENT = "sandbox.orphan_ended"


def may_be_orphan(info: ProviderSandboxInfo, listed_after: datetime, patience: Patience) -> bool:
    """Whether it was there long enough, when the sweep began, for a record to be known."""
    return info.started_at < listed_after - patience.orphan


async def end_orphan(services: Services, provider: Provider, info: ProviderSandboxInfo) -> None:
    """End a sandbox that carries our mark, unless its record lives or may just be coming to life."""
    record = await _record_of(services, info)
    if record is not None and _stands_for(record, info):
        return
    await provider.kill(info.id)
    _log.warning("reconcile.orphan_ended", provider=provider.name, provider_sandbox_id=info.id)
    if record is not None:
        await _note(services, record)


async def _record_of(services: Services, info: ProviderSandboxInfo) -> Sandbox | None:
    try:
        sandbox_id = UUID(info.metadata[SANDBOX_MARK])
    except (KeyError, ValueError):
        return None
    async with services.database.system_transaction() as session:
        return await session.get(Sandbox, sandbox_id)


def _stands_for(record: Sandbox, info: ProviderSandboxInfo) -> bool:
    if record.status is SandboxStatus.CREATING:
        # It may be the one that is being made, or adopted.
        return True
    return record.status in LIVE and record.provider_sandbox_id == info.id


async def _note(services: Services, record: Sandbox) -> None:
    """Say so in the audit trail; a record of a creation that failed is thereby at its end."""
    scope: Scope = system_scope(record.project_id, "reconcile")
    ended: Sandbox | None = None
    async with services.database.transaction(record.project_id) as session:
        if record.status is SandboxStatus.FAILED:
            ended = await change_sandbox(
                session,
                scope,
                record.id,
                SandboxStatus.TERMINATED,
                kind=_EVENT,
                termination_reason=TerminationReason.ORPHAN,
                terminated_at=now(),
            )
        if ended is None:
            record_event(session, scope, _EVENT, record.id, sandbox_id=record.id)
    if ended is not None:
        announce_sandbox(services.signals, ended)
