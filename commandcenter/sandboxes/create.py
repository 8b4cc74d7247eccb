"""Making a sandbox: the intent first, then the provider, then what came of it."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.environment import require_valid_environment
from commandcenter.errors import DomainError, InvalidError
from commandcenter.events.actions import record_event
from commandcenter.idempotency import find_or_insert, fingerprint, require_valid_key
from commandcenter.identifiers import new_id
from commandcenter.projects.records import Project
from commandcenter.providers.errors import ProviderNotConfiguredError, ProviderUnavailableError
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from commandcenter.sandboxes.changes import announce_sandbox, change_sandbox
from commandcenter.sandboxes.errors import SandboxQuotaError
from commandcenter.sandboxes.marks import provider_metadata
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import LARGEST_METADATA_BYTES, Sandbox
from commandcenter.sandboxes.states import LIVE, SandboxStatus, TimeoutAction
from commandcenter.secrets.give import give_secrets
from commandcenter.secrets.given import require_unnamed
from commandcenter.secrets.values import require_valid_names
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic
from commandcenter.texts import require_json_object, require_text

_log = structlog.get_logger()

SHORTEST_TTL_SECONDS = 1
LONGEST_NAME = 200
LONGEST_TEMPLATE = 200
# A create that was begun by somebody else is waited for as long as a provider may take.
_OTHERS_CREATE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """What a sandbox shall be. None: the installation's or the project's default. Times in seconds.

    `secrets` are names of the project's, which every command in it gets as environment variables.
    """

    name: str | None = None
    template: str | None = None
    provider: str | None = None
    ttl_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    on_timeout: TimeoutAction = TimeoutAction.TERMINATE
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    allow_internet: bool = False
    idempotency_key: str | None = None


async def create_sandbox(services: Services, scope: Scope, request: CreateSandbox) -> Sandbox:
    """Make a sandbox and answer when it runs.

    The same `idempotency_key` twice, even at the same moment, is the same sandbox. Raises
    `InvalidError`, `ConflictError`, `SandboxQuotaError` or a provider's error; after any of them there is
    no sandbox that runs, and none that costs.
    """
    scope.require(Role.OPERATOR)
    require_valid_key(request.idempotency_key)
    require_text(request.name, "name", LONGEST_NAME)
    require_text(request.template, "template", LONGEST_TEMPLATE)
    require_valid_environment(request.environment)
    require_valid_names(request.secrets, request.environment)
    require_json_object(request.metadata, "metadata", LARGEST_METADATA_BYTES)
    provider = _provider(services, request.provider)
    request = replace(
        request, provider=provider.name, template=request.template or services.settings.default_template
    )
    wanted = fingerprint(request)
    existing, sandbox = await find_or_insert(
        services.database,
        scope.project_id,
        Sandbox,
        request.idempotency_key,
        wanted,
        partial(_insert, services=services, scope=scope, request=request, wanted=wanted),
    )
    if sandbox is None:
        return await _await_creation(services, scope, existing)
    # Shielded: a caller that goes away must not leave a sandbox that nobody knows.
    return await asyncio.shield(
        services.background.start(_start(services, scope, provider, sandbox, request), "create-sandbox")
    )


def _provider(services: Services, name: str | None) -> Provider:
    if name is None:
        return services.providers.get(services.settings.default_provider)
    try:
        return services.providers.get(name)
    except ProviderNotConfiguredError as error:
        raise ProviderNotConfiguredError(error.message, ("provider",)) from None


async def _insert(
    session: AsyncSession, services: Services, scope: Scope, request: CreateSandbox, wanted: str
) -> Sandbox:
    # The project's row is locked, so that two requests cannot both take the last free place; not its key,
    # which others who write an event refer to: one of them may hold what the insertion below waits for.
    project = (
        await session.execute(
            select(Project).where(Project.id == scope.project_id).with_for_update(key_share=True)
        )
    ).scalar_one()
    ttl_seconds = _require_valid(request, project)
    live = await session.scalar(
        select(func.count()).where(Sandbox.project_id == scope.project_id, Sandbox.status.in_(LIVE))
    )
    if live is not None and live >= project.max_sandboxes:
        raise SandboxQuotaError(project.max_sandboxes)
    sandbox = Sandbox(
        id=new_id(),
        project_id=scope.project_id,
        name=request.name,
        provider=request.provider,
        template=request.template,
        status=SandboxStatus.CREATING,
        user_metadata=request.metadata,
        allow_internet=request.allow_internet,
        ttl_seconds=ttl_seconds,
        idle_timeout_seconds=request.idle_timeout_seconds,
        on_timeout=request.on_timeout,
        idempotency_key=request.idempotency_key,
        request_fingerprint=wanted,
        created_by=scope.actor,
    )
    session.add(sandbox)
    await session.flush()
    await give_secrets(session, scope, sandbox, request.secrets, for_every_command=True)
    await require_unnamed(session, services.keyring, sandbox)
    record_event(
        session, scope, "sandbox.requested", sandbox.id, sandbox_id=sandbox.id, provider=request.provider
    )
    await session.flush()
    await session.refresh(sandbox)
    return sandbox


def _require_valid(request: CreateSandbox, project: Project) -> int:
    """Check what was asked for against the project's limits; returns the time to live."""
    ttl_seconds = request.ttl_seconds if request.ttl_seconds is not None else project.default_ttl_seconds
    if not SHORTEST_TTL_SECONDS <= ttl_seconds <= project.max_ttl_seconds:
        raise InvalidError(
            f"ttlSeconds must be between {SHORTEST_TTL_SECONDS} and the project's maxTtlSeconds "
            f"({project.max_ttl_seconds}).",
            ("ttlSeconds",),
        )
    if request.idle_timeout_seconds is not None and request.idle_timeout_seconds < 1:
        raise InvalidError("idleTimeoutSeconds must be at least 1.", ("idleTimeoutSeconds",))
    return ttl_seconds


async def _start(
    services: Services, scope: Scope, provider: Provider, sandbox: Sandbox, request: CreateSandbox
) -> Sandbox:
    """Ask the provider, and record what came of it."""
    try:
        made = await provider.create(
            template=sandbox.template,
            ttl_seconds=sandbox.ttl_seconds,
            metadata=provider_metadata(services.instance_id, sandbox),
            envs=request.environment,
            allow_internet=sandbox.allow_internet,
            on_timeout="pause" if sandbox.on_timeout is TimeoutAction.PAUSE else "kill",
            idempotency_key=str(sandbox.id),
        )
    except DomainError as error:
        services.measurements.count("sandbox_error_total", kind=error.code.lower(), provider=provider.name)
        await _record_failure(services, scope, sandbox, error)
        raise
    services.measurements.count("sandbox_spawn_total", provider=provider.name)
    return await _record_start(services, scope, provider, sandbox, made)


async def _record_start(
    services: Services, scope: Scope, provider: Provider, sandbox: Sandbox, made: ProviderSandbox
) -> Sandbox:
    async with services.database.transaction(scope.project_id) as session:
        started = await change_sandbox(
            session,
            scope,
            sandbox.id,
            SandboxStatus.RUNNING,
            kind="sandbox.started",
            provider_sandbox_id=made.attachment.sandbox_id,
            attachment=made.attachment.as_json(),
            cpu_count=made.cpu_count,
            memory_mb=made.memory_mb,
            started_at=now(),
            last_activity_at=now(),
            expires_at=now() + timedelta(seconds=sandbox.ttl_seconds),
            incarnation=Sandbox.incarnation + 1,
            only_if=(Sandbox.termination_requested_at.is_(None),),
        )
    if started is None:
        # Its end was wished for while the provider was at work, and stands.
        await provider.kill(made.attachment.sandbox_id)
        async with services.database.transaction(scope.project_id) as session:
            return await get_sandbox(session, scope, sandbox.id)
    announce_sandbox(services.signals, started)
    return started


async def _record_failure(services: Services, scope: Scope, sandbox: Sandbox, error: DomainError) -> None:
    """Take the intent back where nothing was made; keep it as FAILED where that is not known."""
    unknown_outcome = isinstance(error, ProviderUnavailableError)
    _log.warning("sandbox.create_failed", sandbox_id=str(sandbox.id), code=error.code, error=error.message)
    async with services.database.transaction(scope.project_id) as session:
        if unknown_outcome:
            await change_sandbox(
                session,
                scope,
                sandbox.id,
                SandboxStatus.FAILED,
                status_reason=f"The provider could not make it: {error.message}",
                # Freed, so that the caller's next try with the same key is a real one.
                idempotency_key=None,
            )
        else:
            await session.execute(delete(Sandbox).where(Sandbox.id == sandbox.id))
            record_event(
                session, scope, "sandbox.refused", sandbox.id, code=error.code, message=error.message
            )
    announce_sandbox(services.signals, sandbox)


async def _await_creation(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """The sandbox of an earlier request with the same key, once it is made."""
    deadline = now() + timedelta(seconds=_OTHERS_CREATE_SECONDS)
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while now() < deadline:
            async with services.database.transaction(scope.project_id) as session:
                current = await session.get(Sandbox, sandbox.id)
            if current is None or current.status is SandboxStatus.FAILED:
                raise _earlier_failure(current)
            if current.status is not SandboxStatus.CREATING:
                return current
            await listener.wait(1.0)
    return sandbox


def _earlier_failure(sandbox: Sandbox | None) -> DomainError:
    reason = sandbox.status_reason if sandbox is not None else "the provider refused it."
    return ProviderUnavailableError(f"The request with this idempotency key failed: {reason} Try again.")
