"""Starting a command in a sandbox."""

import asyncio
from functools import partial
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.actions import record_event
from commandcenter.executions.changes import announce_execution, change_execution
from commandcenter.executions.errors import RunningExecutionsQuotaError
from commandcenter.executions.leftovers import end_leftover
from commandcenter.executions.milestones import record_start
from commandcenter.executions.records import NOT_ENDED, Execution
from commandcenter.executions.requests import StartExecution, require_valid
from commandcenter.executions.run import run_execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.executions.wait import Reading, wait_until_ended
from commandcenter.idempotency import find_or_insert, fingerprint
from commandcenter.identifiers import new_id
from commandcenter.outages import despite_outages
from commandcenter.providers import continuation
from commandcenter.providers.errors import ProviderUnavailableError
from commandcenter.providers.output import ProcessOutput
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.secrets.give import give_secrets
from commandcenter.secrets.given import NOTHING_GIVEN, read_given
from commandcenter.services import Services

# Each holds a connection and some megabytes of output on its way.
MOST_RUNNING = 400


async def execute_command(
    services: Services, scope: Scope, sandbox_id: UUID, request: StartExecution, *, wait: bool = False
) -> Execution:
    """Start a command; answers with the running execution, or with `wait` with the ended one.

    After a typed error nothing has changed, but where the provider's outcome is not known: then the
    execution is kept as FAILED or LOST, and says so.
    """
    scope.require(Role.OPERATOR)
    require_valid(request)
    wanted = fingerprint(request, sandbox_id)
    existing, inserted = await find_or_insert(
        services.database,
        scope.project_id,
        Execution,
        request.idempotency_key,
        wanted,
        partial(
            _insert, services=services, scope=scope, sandbox_id=sandbox_id, request=request, wanted=wanted
        ),
    )
    reading: Reading | None = None
    execution: Execution = existing
    if inserted is not None:
        execution, sandbox = inserted
        services.owned_executions.add(execution.id)
        # Shielded: a caller that goes away must not leave a process that nobody reads.
        execution, reading = await asyncio.shield(
            services.background.start(_start(services, scope, sandbox, execution, request), "start-execution")
        )
    if wait:
        return await wait_until_ended(services, scope, execution, reading)
    return execution


async def _insert(
    session: AsyncSession,
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    request: StartExecution,
    wanted: str,
) -> tuple[Execution, Sandbox]:
    # Under the sandbox's row lock until the commit, so that numbers follow the order of commits.
    sandbox = await session.scalar(
        update(Sandbox)
        .where(
            Sandbox.id == sandbox_id,
            Sandbox.project_id == scope.project_id,
            Sandbox.status == SandboxStatus.RUNNING,
            Sandbox.termination_requested_at.is_(None),
        )
        .values(execution_count=Sandbox.execution_count + 1, last_activity_at=now())
        .returning(Sandbox),
        execution_options={"synchronize_session": False},
    )
    if sandbox is None:
        raise SandboxStateError(await get_sandbox(session, scope, sandbox_id), SandboxStatus.RUNNING)
    running = select(func.count()).where(Execution.sandbox_id == sandbox_id, NOT_ENDED)
    if (await session.execute(running)).scalar_one() >= MOST_RUNNING:
        raise RunningExecutionsQuotaError(MOST_RUNNING)
    await give_secrets(session, scope, sandbox, request.secrets)
    given = await read_given(session, services.keyring, sandbox.id, sandbox.secret_count)
    execution = Execution(
        id=new_id(),
        project_id=scope.project_id,
        sandbox_id=sandbox.id,
        incarnation=sandbox.incarnation,
        number=sandbox.execution_count,
        command=given.hide(request.command),
        cwd=given.hide(request.cwd) if request.cwd else None,
        user=request.user,
        status=ExecutionStatus.QUEUED,
        has_stdin=request.stdin,
        is_terminal=request.terminal is not None,
        timeout_seconds=request.timeout_seconds,
        owner=services.process_id,
        lease_until=func.now() + services.settings.lease,
        idempotency_key=request.idempotency_key,
        request_fingerprint=wanted,
        created_by=scope.actor,
        created_at=now(),
        last_sequence=0,
        stdout_bytes=0,
        stderr_bytes=0,
        terminal_bytes=0,
    )
    session.add(execution)
    record_event(session, scope, "execution.requested", execution.id, sandbox_id=sandbox.id)
    return execution, sandbox


async def _start(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, request: StartExecution
) -> tuple[Execution, Reading]:
    """Start the process, and begin to read it."""
    given = NOTHING_GIVEN
    try:
        given = (await despite_outages(partial(services.secret_masks.of, sandbox))).given
        process = await continuation.start(
            attach(services, sandbox),
            command=request.command or None,
            cwd=request.cwd,
            envs=given.environment(request.environment, request.secrets),
            user=request.user,
            stdin=request.stdin,
            pty=request.terminal,
            timeout_seconds=request.timeout_seconds,
            tag=str(execution.id),
        )
    except DomainError as error:
        given.hide_in(error)
        await despite_outages(partial(_record_failure, services, scope, execution, error))
        services.owned_executions.discard(execution.id)
        if isinstance(error, ProviderUnavailableError):
            services.background.start(end_leftover(services, scope, execution), "end-leftover")
        raise
    return await despite_outages(partial(_record_start, services, scope, sandbox, execution, process))


async def _record_start(
    services: Services, scope: Scope, sandbox: Sandbox, execution: Execution, process: ProcessOutput
) -> tuple[Execution, Reading]:
    started = await record_start(services, scope, execution, process.pid)
    # What is not ours any more ends there: another process of ours reads it.
    reading = services.background.start(
        run_execution(services, scope, sandbox, started or execution, process), "run-execution"
    )
    return started or execution, reading


async def _record_failure(services: Services, scope: Scope, execution: Execution, error: DomainError) -> None:
    """Take the intent back where nothing was started; say LOST where that is not known."""
    async with services.database.transaction(scope.project_id) as session:
        if isinstance(error, ProviderUnavailableError):
            await change_execution(
                session,
                scope,
                execution.id,
                ExecutionStatus.LOST,
                status_reason=f"Whether it was started is not known: {error.message}",
            )
        else:
            await session.execute(delete(Execution).where(Execution.id == execution.id))
            record_event(
                session,
                scope,
                "execution.refused",
                execution.id,
                sandbox_id=execution.sandbox_id,
                code=error.code,
                message=error.message,
            )
    announce_execution(services.signals, execution)
