"""Recording what came of a creation. Each holds also where the database is away for a while."""

from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import delete

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.outages import despite_outages
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services

_log = structlog.get_logger()


async def record_start(
    services: Services,
    scope: Scope,
    provider: Provider,
    sandbox: Sandbox,
    made: ProviderSandbox,
    *,
    adopted: bool = False,
) -> Sandbox:
    """Let the sandbox run that its provider has; returns its row.

    Where its end was wished for meanwhile, or another of our processes found it first, that stands, and what
    is too much at the provider is ended.
    """
    kind = "sandbox.adopted" if adopted else "sandbox.started"
    result = await despite_outages(partial(_write_start, services, scope, sandbox, made, kind))
    if result.provider_sandbox_id != made.id:
        await _end_surplus(provider, made)
    else:
        services.measurements.count("sandbox_spawn_total", provider=provider.name)
        announce_sandbox(services.signals, result)
    return result


async def _end_surplus(provider: Provider, made: ProviderSandbox) -> None:
    try:
        await provider.kill(made.id)
    except DomainError as error:
        # No record stands for it: the sweep ends it as soon as the provider answers.
        _log.warning("sandbox.surplus_not_ended", provider_sandbox_id=made.id, error=error.message)


async def _write_start(
    services: Services, scope: Scope, sandbox: Sandbox, made: ProviderSandbox, kind: str
) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        started = await change_sandbox(
            session,
            scope,
            sandbox.id,
            SandboxStatus.RUNNING,
            kind=kind,
            provider_sandbox_id=made.id,
            attachment=made.attachment.as_json(),
            cpu_count=made.cpu_count,
            memory_mb=made.memory_mb,
            status_reason=None,
            started_at=now(),
            last_activity_at=now(),
            expires_at=now() + timedelta(seconds=sandbox.ttl_seconds),
            incarnation=Sandbox.incarnation + 1,
            only_if=(
                Sandbox.status == SandboxStatus.CREATING,
                Sandbox.termination_requested_at.is_(None),
            ),
        )
        return started or await get_sandbox(session, scope, sandbox.id)


async def record_failure(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> None:
    """Keep the sandbox as FAILED, and free its idempotency key: the next try with it is a real one."""
    _log.warning("sandbox.create_failed", sandbox_id=str(sandbox.id), code=error.code, error=error.message)
    await despite_outages(partial(_write_failure, services, scope, sandbox, error))
    announce_sandbox(services.signals, sandbox)


async def _write_failure(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> None:
    async with services.database.transaction(scope.project_id) as session:
        await change_sandbox(
            session,
            scope,
            sandbox.id,
            SandboxStatus.FAILED,
            status_reason=f"It could not be made: {error.message}",
            idempotency_key=None,
            only_if=(Sandbox.status == SandboxStatus.CREATING,),
        )


async def take_back(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> None:
    """Remove a sandbox that was never made and never shown as being made."""
    _log.info("sandbox.create_refused", sandbox_id=str(sandbox.id), code=error.code, error=error.message)
    await despite_outages(partial(_write_refusal, services, scope, sandbox, error))
    announce_sandbox(services.signals, sandbox)


async def _write_refusal(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> None:
    async with services.database.transaction(scope.project_id) as session:
        await session.execute(
            delete(Sandbox).where(Sandbox.id == sandbox.id, Sandbox.status == SandboxStatus.CREATING)
        )
        record_event(session, scope, "sandbox.refused", sandbox.id, code=error.code, message=error.message)
