"""Ending sandboxes of ours at a provider that no living record stands for."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.providers.sandboxes import Provider, ProviderSandboxInfo
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.findings import TASK, Finding, note_finding
from commandcenter.sandboxes.marks import PROJECT_MARK, SANDBOX_MARK
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import LIVE, SandboxStatus, TerminationReason
from commandcenter.services import Services

_ENDED = frozenset({SandboxStatus.TERMINATED, SandboxStatus.FAILED})


async def end_orphan(
    services: Services,
    provider: Provider,
    info: ProviderSandboxInfo,
    listed_after: datetime,
    patience: Patience,
) -> None:
    """End a sandbox that carries our mark, unless its record lives or may just be coming to life.

    One whose record has ended waits for nothing any more; any other is left alone for our patience.
    """
    record = await _record_of(services, info)
    if record is not None and _stands_for(record, info):
        return
    has_ended = record is not None and record.status in _ENDED
    if not has_ended and info.started_at >= listed_after - patience.orphan:
        return
    killed = await provider.kill(info.id)
    if record is not None and record.status is SandboxStatus.FAILED:
        await _end_record(services, record)
    if killed:
        await note_finding(
            services,
            provider.name,
            Finding.ORPHAN_ENDED,
            project_id=record.project_id if record is not None else _marked(info.metadata, PROJECT_MARK),
            sandbox_id=record.id if record is not None else _marked(info.metadata, SANDBOX_MARK),
            provider_sandbox_id=info.id,
            template=info.template,
            started_at=info.started_at.isoformat(),
            record=record.status if record is not None else None,
        )


async def _record_of(services: Services, info: ProviderSandboxInfo) -> Sandbox | None:
    sandbox_id = _marked(info.metadata, SANDBOX_MARK)
    if sandbox_id is None:
        return None
    async with services.database.system_transaction() as session:
        return await session.get(Sandbox, sandbox_id)


def _marked(metadata: Mapping[str, str], mark: str) -> UUID | None:
    try:
        return UUID(metadata[mark])
    except (KeyError, ValueError):
        return None


def _stands_for(record: Sandbox, info: ProviderSandboxInfo) -> bool:
    if record.status is SandboxStatus.CREATING:
        # It may be the one that is being made, or adopted.
        return True
    return record.status in LIVE and record.provider_sandbox_id == info.id


async def _end_record(services: Services, record: Sandbox) -> None:
    """A record of a creation that failed is at its end once nothing of it is left."""
    async with services.database.transaction(record.project_id) as session:
        ended = await change_sandbox(
            session,
            system_scope(record.project_id, TASK),
            record.id,
            SandboxStatus.TERMINATED,
            termination_reason=TerminationReason.ORPHAN,
            terminated_at=now(),
            only_if=(Sandbox.status == SandboxStatus.FAILED,),
        )
    if ended is not None:
        announce_sandbox(services.signals, ended)
