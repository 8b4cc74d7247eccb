"""Making a sandbox: the intent first, then the provider, then what came of it."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.environment import require_valid_environment
from commandcenter.errors import DomainError, InvalidError
from commandcenter.events.actions import record_event
from commandcenter.idempotency import find_or_insert, fingerprint, require_valid_key
from commandcenter.identifiers import new_id
from commandcenter.projects.records import Project
from commandcenter.providers.errors import ProviderNotConfiguredError
from commandcenter.providers.sandboxes import Provider
from commandcenter.sandboxes.create_at_provider import Creation, make_sandbox
from commandcenter.sandboxes.create_queue import join_queue
from commandcenter.sandboxes.errors import CreationFailedError, SandboxQuotaError
from commandcenter.sandboxes.records import LARGEST_METADATA_BYTES, ProviderQueue, Sandbox
from commandcenter.sandboxes.states import LIVE, SandboxStatus, TimeoutAction
from commandcenter.secrets.give import give_secrets
from commandcenter.secrets.given import require_unnamed
from commandcenter.secrets.values import require_valid_names
from commandcenter.services import Services
from commandcenter.signals import sandbox_topic
from commandcenter.snapshots.restore import resolve_template
from commandcenter.texts import require_json_object, require_text

SHORTEST_TTL_SECONDS = 1
LONGEST_NAME = 200
LONGEST_TEMPLATE = 200
_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """What a sandbox shall be. None: the installation's or the project's default. Times in seconds.

    `secrets` are names of the project's, which every command in it gets as environment variables.
    """

    name: str | None = None
    template: str | None = None
    snapshot_id: UUID | None = None
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
    """Make a sandbox and answer when it runs, or while it is being made after `creation_answer_seconds`.

    The same `idempotency_key` twice, even at the same moment, is the same sandbox. Raises
    `InvalidError`, `ConflictError`, `SandboxQuotaError`, `ProviderQueueFullError` or a provider's error;
    after any of them there is no sandbox that runs, and none that costs.
    """
    begun = asyncio.get_running_loop().time()
    scope.require(Role.OPERATOR)
    require_valid_key(request.idempotency_key)
    require_text(request.name, "name", LONGEST_NAME)
    require_text(request.template, "template", LONGEST_TEMPLATE)
    require_valid_environment(request.environment)
    require_valid_names(request.secrets, request.environment)
    require_json_object(request.metadata, "metadata", LARGEST_METADATA_BYTES)
    origin = await resolve_template(services, scope, request.provider, request.template, request.snapshot_id)
    request = replace(request, provider=origin[0], template=origin[1])
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
        partial(_insert, services=services, scope=scope, provider=provider, request=request, wanted=wanted),
    )
    if sandbox is None:
        return await _await_creation(services, scope, existing)
    creation = Creation(
        scope=scope,
        provider=provider,
        sandbox=sandbox,
        answer_by=begun + services.settings.creation_answer_seconds,
        give_up_at=begun + services.settings.creation_seconds,
        environment=request.environment,
    )
    # A task of its own: a caller that goes away must not leave a sandbox that nobody knows.
    making = services.background.start(make_sandbox(services, creation), "create-sandbox")
    return await _answer(services, creation, making)


def _provider(services: Services, name: str | None) -> Provider:
    if name is None:
        return services.providers.get(services.settings.default_provider)
    try:
        return services.providers.get(name)
    except ProviderNotConfiguredError as error:
        raise ProviderNotConfiguredError(error.message, ("provider",)) from None


async def _insert(
    session: AsyncSession,
    services: Services,
    scope: Scope,
    provider: Provider,
    request: CreateSandbox,
    wanted: str,
) -> Sandbox:
    # The project's row is locked, so that two requests cannot both take the last free place; not its key,
    # which others who write an event refer to: one of them may hold what the insertion below waits for.
    project = (
        await session.execute(
            select(Project).where(Project.id == scope.project_id).with_for_update(key_share=True)
        )
    ).scalar_one()
    ttl_seconds = _require_valid(request, project)
    live, is_paused = await _present_use(session, scope, provider)
    if live >= project.max_sandboxes:
        raise SandboxQuotaError(project.max_sandboxes, live)
    turn = None
    if provider.account.pace.is_limited or is_paused:
        turn = await join_queue(session, scope.project_id, provider.name, provider.account.pace)
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
        owner=services.process_id,
        lease_until=func.now() + services.settings.lease,
        turn=turn,
        asked_at=func.clock_timestamp() if turn is None else None,
        is_repeatable=not request.environment,
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


async def _present_use(session: AsyncSession, scope: Scope, provider: Provider) -> tuple[int, bool]:
    """How many sandboxes the project has, and whether the provider is to be left alone now."""
    live = select(func.count()).where(Sandbox.project_id == scope.project_id, Sandbox.status.in_(LIVE))
    paused = exists().where(
        ProviderQueue.provider == provider.name, ProviderQueue.paused_until > func.clock_timestamp()
    )
    count, is_paused = (await session.execute(select(live.scalar_subquery(), paused))).one()
    return int(count), bool(is_paused)


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


async def _answer(services: Services, creation: Creation, making: asyncio.Task[Sandbox]) -> Sandbox:
    """The sandbox once it runs, or as it is when the request is to be answered."""
    seconds = creation.answer_by - asyncio.get_running_loop().time()
    await asyncio.wait([making], timeout=max(0.0, seconds))
    if making.done():
        return making.result()
    async with services.database.transaction(creation.scope.project_id) as session:
        current = await session.get(Sandbox, creation.sandbox.id)
    # Where it is gone its creation has just failed, and tells why.
    return current if current is not None else await making


async def _await_creation(services: Services, scope: Scope, sandbox: Sandbox) -> Sandbox:
    """The sandbox of an earlier request with the same key, once it is made or as it is after a while."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + services.settings.creation_answer_seconds
    with services.signals.listen(sandbox_topic(scope.project_id)) as listener:
        while True:
            async with services.database.transaction(scope.project_id) as session:
                current = await session.get(Sandbox, sandbox.id)
            if current is None or current.status is SandboxStatus.FAILED:
                raise _earlier_failure(current)
            if current.status is not SandboxStatus.CREATING or loop.time() >= deadline:
                return current
            await listener.wait_for(str(sandbox.id), min(_LOOK_AGAIN_SECONDS, deadline - loop.time()))


def _earlier_failure(sandbox: Sandbox | None) -> DomainError:
    reason = sandbox.status_reason if sandbox is not None else "its provider refused it. Try again."
    return CreationFailedError(f"The request with this idempotency key failed: {reason}")
