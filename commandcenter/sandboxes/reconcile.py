"""Settling what a provider has against what our records say, in both directions.

Records are read before the provider's list, and changed only if their incarnation and state are still the
same; so a list that is older than a resume changes nothing. Only sandboxes with this installation's mark
are touched; those without a record are the subject of `orphans`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.providers.endings import EndReason
from commandcenter.providers.errors import ProviderSandboxGoneError
from commandcenter.providers.sandboxes import Provider, ProviderSandboxInfo
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.doubts import Doubts
from commandcenter.sandboxes.marks import INSTANCE_MARK
from commandcenter.sandboxes.orphans import end_orphan, may_be_orphan
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.rounds import Step, do_all
from commandcenter.sandboxes.states import LIVE, SandboxStatus, TerminationReason, TimeoutAction
from commandcenter.services import Services

_log = structlog.get_logger()

_STEP_SECONDS = 45.0
_STOPPED_BY_PROVIDER = "Its provider paused it; resume it to go on."
_ENDINGS: dict[EndReason | None, tuple[TerminationReason, str | None]] = {
    "EXPIRED": (TerminationReason.TTL, None),
    "OUT_OF_MEMORY": (TerminationReason.OUT_OF_MEMORY, "It ran out of memory."),
    "CRASHED": (TerminationReason.CRASH, "It crashed: the process that holds it together ended."),
    "KILLED": (TerminationReason.PROVIDER, "It was ended at its provider, not by CommandCenter."),
    None: (TerminationReason.PROVIDER, "Its provider does not have it any more."),
}

Listed = dict[str, ProviderSandboxInfo]


async def reconcile(services: Services, provider: Provider, doubts: Doubts) -> None:
    """Settle one provider; one that does not answer is left for the next round."""
    begun = now()
    records = await _live_records(services, provider.name)
    listed: Listed = {}
    try:
        async for page in provider.list({INSTANCE_MARK: str(services.instance_id)}):
            listed.update({info.id: info for info in page})
    except DomainError as error:
        _log.warning("reconcile.provider_failed", provider=provider.name, error=error.message)
        return
    steps = _record_steps(services, provider, doubts, records, listed, begun)
    await do_all("reconcile", provider.name, steps, step_seconds=_STEP_SECONDS)
    known = {record.provider_sandbox_id for record in records}
    orphans = [
        partial(end_orphan, services, provider, info)
        for info in listed.values()
        if info.id not in known and may_be_orphan(info, begun, doubts.patience)
    ]
    await do_all("reconcile", provider.name, orphans, step_seconds=_STEP_SECONDS)


async def _live_records(services: Services, provider: str) -> Sequence[Sandbox]:
    async with services.database.system_transaction() as session:
        found = await session.scalars(
            select(Sandbox).where(Sandbox.provider == provider, Sandbox.status.in_(LIVE))
        )
        return list(found)


def _record_steps(
    services: Services,
    provider: Provider,
    doubts: Doubts,
    records: Sequence[Sandbox],
    listed: Listed,
    begun: datetime,
) -> list[Step]:
    """What each record asks for, compared with the provider's list."""
    steps: list[Step] = []
    running_though_paused = []
    for record in records:
        info = listed.get(record.provider_sandbox_id or "")
        if record.status is SandboxStatus.CREATING:
            # Whoever makes it says what becomes of it, or whoever takes it up.
            continue
        if info is None:
            steps.append(partial(_end_vanished, services, provider, record))
        elif info.state == "paused" and record.status is SandboxStatus.RUNNING:
            steps.append(partial(_change, services, record, SandboxStatus.PAUSED, **_as_stopped(record)))
        elif info.state == "running" and record.status is SandboxStatus.PAUSED:
            running_though_paused.append(record)
    seen = [(record.id, record.incarnation) for record in running_though_paused]
    lasting = doubts.lasting(provider.name, seen, begun)
    steps.extend(
        partial(_pause_again, services, provider, record)
        for record in running_though_paused
        if (record.id, record.incarnation) in lasting
    )
    return steps


def _as_stopped(record: Sandbox) -> dict[str, Any]:
    """A sandbox that stands still though nobody wished it goes on towards the end of its time."""
    if record.on_timeout is TimeoutAction.PAUSE:
        return {"status_reason": _STOPPED_BY_PROVIDER, "expires_at": None}
    return {"status_reason": _STOPPED_BY_PROVIDER}


async def _end_vanished(services: Services, provider: Provider, record: Sandbox) -> None:
    """End the record of a sandbox that its provider does not list, if it says once more that it is gone."""
    sandbox_id = record.provider_sandbox_id or ""
    try:
        await provider.info(sandbox_id)
    except ProviderSandboxGoneError:
        reason, words = _ENDINGS[await provider.end_reason(sandbox_id)]
    else:
        return
    if reason is TerminationReason.PROVIDER and record.expires_at is not None and record.expires_at <= now():
        reason, words = TerminationReason.TTL, None
    # The reason of an end that was wished for stands.
    if record.termination_reason is not None:
        reason, words = record.termination_reason, None
    await _change(
        services,
        record,
        SandboxStatus.TERMINATED,
        termination_reason=reason,
        status_reason=words,
        terminated_at=now(),
        expires_at=None,
    )


async def _pause_again(services: Services, provider: Provider, record: Sandbox) -> None:
    """Pause what runs unseen: whoever resumed it died before saying so."""
    if await _is_unchanged(services, record):
        await provider.pause(record.provider_sandbox_id or "")
        _log.warning("reconcile.paused_again", provider=provider.name, sandbox_id=str(record.id))


async def _is_unchanged(services: Services, record: Sandbox) -> bool:
    async with services.database.transaction(record.project_id) as session:
        current = await session.get(Sandbox, record.id)
    return current is not None and _is_same(current, record)


def _is_same(current: Sandbox, record: Sandbox) -> bool:
    """Whether a record is in the life and state in which it was read, with the same wishes."""
    return (
        current.incarnation == record.incarnation
        and current.status is record.status
        and current.termination_requested_at == record.termination_requested_at
    )


async def _change(services: Services, record: Sandbox, target: SandboxStatus, **values: Any) -> None:
    async with services.database.transaction(record.project_id) as session:
        current = await session.get(Sandbox, record.id, with_for_update=True)
        if current is None or not _is_same(current, record):
            return
        scope = system_scope(record.project_id, "reconcile")
        changed = await change_sandbox(session, scope, record.id, target, **values)
    if changed is not None:
        announce_sandbox(services.signals, changed)
