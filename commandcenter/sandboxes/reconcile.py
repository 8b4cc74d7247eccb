"""Settling what a provider has against what our records say, in both directions.

Records are read before the provider's list, and changed only if their incarnation and state are still the
same and nobody is at them; so a list that is older than a resume changes nothing. Only sandboxes with this
installation's mark are touched; those without a record are the subject of `orphans`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.providers.endings import EndReason
from commandcenter.providers.errors import ProviderSandboxGoneError
from commandcenter.providers.sandboxes import Provider, ProviderSandboxInfo
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.findings import TASK, Finding, count_finding, note_finding
from commandcenter.sandboxes.marks import INSTANCE_MARK
from commandcenter.sandboxes.orphans import end_orphan
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.rounds import Step, do_all
from commandcenter.sandboxes.states import (
    LIVE,
    SandboxAction,
    SandboxStatus,
    TerminationReason,
    TimeoutAction,
)
from commandcenter.sandboxes.turns import give_turn_back, is_unchanged, try_turn
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


async def reconcile(services: Services, provider: Provider, patience: Patience) -> None:
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
    steps = _record_steps(services, provider, records, listed)
    known = {record.provider_sandbox_id for record in records}
    steps += [
        partial(end_orphan, services, provider, info, begun, patience)
        for info in listed.values()
        if info.id not in known
    ]
    log = _log.info if steps else _log.debug
    found = {"records": len(records), "listed": len(listed), "at_odds": len(steps)}
    log("reconcile.compared", provider=provider.name, **found)
    await do_all("reconcile", provider.name, steps, step_seconds=_STEP_SECONDS)


async def _live_records(services: Services, provider: str) -> Sequence[Sandbox]:
    async with services.database.system_transaction() as session:
        found = await session.scalars(
            select(Sandbox).where(Sandbox.provider == provider, Sandbox.status.in_(LIVE))
        )
        return list(found)


def _record_steps(
    services: Services,
    provider: Provider,
    records: Sequence[Sandbox],
    listed: Listed,
) -> list[Step]:
    """What each record asks for, compared with the provider's list."""
    steps: list[Step] = []
    for record in records:
        info = listed.get(record.provider_sandbox_id or "")
        if record.status is SandboxStatus.CREATING:
            # Whoever makes it says what becomes of it, or whoever takes it up.
            continue
        if info is None:
            steps.append(partial(_end_vanished, services, provider, record))
        elif info.state == "paused" and record.status is SandboxStatus.RUNNING:
            steps.append(partial(_note_pause, services, record))
        elif info.state == "running" and record.status is SandboxStatus.PAUSED:
            steps.append(partial(_pause_again, services, provider, record))
    return steps


async def _note_pause(services: Services, record: Sandbox) -> None:
    """A sandbox that stands still though nobody wished it goes on towards the end of its time."""
    values: dict[str, Any] = {"status_reason": _STOPPED_BY_PROVIDER, "failed_attempts": 0, "retry_at": None}
    if record.on_timeout is TimeoutAction.PAUSE:
        values["expires_at"] = None
    await _change(services, record, Finding.FOUND_PAUSED, SandboxStatus.PAUSED, **values)


async def _end_vanished(services: Services, provider: Provider, record: Sandbox) -> None:
    """End the record of a sandbox that its provider does not list, if it says once more that it is gone."""
    sandbox_id = record.provider_sandbox_id or ""
    try:
        await provider.info(sandbox_id)
    except ProviderSandboxGoneError:
        told = await provider.end_reason(sandbox_id)
    else:
        return
    reason, words = _ENDINGS[told]
    if reason is TerminationReason.PROVIDER and record.expires_at is not None and record.expires_at <= now():
        reason, words = TerminationReason.TTL, None
    # The reason of an end that was wished for stands.
    if record.termination_reason is not None:
        reason, words = record.termination_reason, None
    await _change(
        services,
        record,
        Finding.VANISHED,
        SandboxStatus.TERMINATED,
        details={"provider_reason": told},
        termination_reason=reason,
        status_reason=words,
        terminated_at=now(),
        expires_at=None,
    )


async def _pause_again(services: Services, provider: Provider, record: Sandbox) -> None:
    """Pause what runs unseen: whoever resumed it died before saying so, or does not know of us."""
    async with services.database.transaction(record.project_id) as session:
        turn = await try_turn(
            session, record.project_id, record.id, SandboxAction.PAUSE, is_unchanged(record)
        )
    if turn is None:
        return
    try:
        await provider.pause(record.provider_sandbox_id or "")
    finally:
        await give_turn_back(services, turn)
    await note_finding(
        services,
        provider.name,
        Finding.PAUSED_AGAIN,
        project_id=record.project_id,
        sandbox_id=record.id,
        provider_sandbox_id=record.provider_sandbox_id,
    )


async def _change(
    services: Services,
    record: Sandbox,
    finding: Finding,
    target: SandboxStatus,
    details: dict[str, Any] | None = None,
    **values: Any,
) -> None:
    """Change a record that is as it was read, with an event of what was found beside that of the change."""
    scope = system_scope(record.project_id, TASK)
    told = {"provider_sandbox_id": record.provider_sandbox_id, **(details or {})}
    async with services.database.transaction(record.project_id) as session:
        changed = await change_sandbox(
            session, scope, record.id, target, only_if=is_unchanged(record), **values
        )
        if changed is not None:
            record_event(
                session,
                scope,
                finding,
                record.id,
                sandbox_id=record.id,
                provider=record.provider,
                was=record.status,
                **told,
            )
    if changed is not None:
        announce_sandbox(services.signals, changed)
        count_finding(services, record.provider, finding, sandbox_id=str(record.id), **told)
