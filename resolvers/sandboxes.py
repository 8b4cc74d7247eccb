"""What the sandbox fields, mutations and subscriptions do."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from strawberry import ID, Parent

from commandcenter.errors import InvalidError
from commandcenter.executions.records import Execution
from commandcenter.projects.records import Project
from commandcenter.providers.sandboxes import ProviderMetrics
from commandcenter.sandboxes.addresses import address_of_port
from commandcenter.sandboxes.create import CreateSandbox, create_sandbox
from commandcenter.sandboxes.extend import extend_sandbox
from commandcenter.sandboxes.metrics import measure_sandbox
from commandcenter.sandboxes.pause import pause_sandbox, resume_sandbox
from commandcenter.sandboxes.queries import SandboxSelection, list_sandboxes
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.terminate import terminate_sandbox, terminate_sandboxes
from commandcenter.sandboxes.watch import watch_sandboxes
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id, key_of, parse_global_id
from resolvers.outcomes import Outcome, outcome_of

TYPE = "Sandbox"
MOST_AT_ONCE = 100


def sandbox_id(root: Parent[Any]) -> ID:
    """`Sandbox.id`."""
    return global_id(TYPE, root.id)


async def sandbox_by_id(info: Info, text: str) -> Sandbox | None:
    """`Query.sandbox`: null for what the project does not have."""
    return await info.context.sandboxes.load(key_of(text, TYPE, "id"))


async def project_of(root: Parent[Any], info: Info) -> Project | None:
    """The project of a sandbox, or of anything else that has one."""
    return await info.context.projects.load(root.project_id)


async def parent_of(root: Parent[Any], info: Info) -> Sandbox | None:
    """`Sandbox.parent`."""
    return await info.context.sandboxes.load(root.parent_id) if root.parent_id else None


async def sandbox_page(
    info: Info,
    selection: SandboxSelection,
    *,
    newest_first: bool,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> ConnectionView[Sandbox]:
    """`Query.sandboxes`."""
    context = info.context
    request = page_request(TYPE, first, after, last, before)
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_sandboxes(session, context.scope, selection, request, newest_first=newest_first)
    return ConnectionView(page, TYPE, lambda sandbox: sandbox.id)


async def sandbox_metrics(root: Parent[Any], info: Info) -> ProviderMetrics | None:
    """`Sandbox.metrics`: null where the sandbox does not run."""
    return await measure_sandbox(info.context.services, root)


def sandbox_url(root: Sandbox, info: Info, port: int) -> str:
    """`Sandbox.url`."""
    return address_of_port(info.context.services, root, port)


async def create(info: Info, request: CreateSandbox) -> Outcome[Sandbox]:
    """`createSandbox`; a snapshot's id as template means that snapshot."""
    parsed = parse_global_id(request.template or "")
    if parsed is not None and parsed[0] == "Snapshot":
        request = replace(request, template=None, snapshot_id=parsed[1])
    return await outcome_of(create_sandbox(info.context.services, info.context.scope, request))


async def pause(info: Info, text: str) -> Outcome[Sandbox]:
    """`pauseSandbox`."""

    async def work() -> Sandbox:
        key = key_of(text, TYPE, "sandboxId")
        return await pause_sandbox(info.context.services, info.context.scope, key)

    return await outcome_of(work())


async def resume(info: Info, text: str) -> Outcome[Sandbox]:
    """`resumeSandbox`."""

    async def work() -> Sandbox:
        key = key_of(text, TYPE, "sandboxId")
        return await resume_sandbox(info.context.services, info.context.scope, key)

    return await outcome_of(work())


async def terminate(info: Info, text: str) -> Outcome[Sandbox]:
    """`terminateSandbox`."""

    async def work() -> Sandbox:
        key = key_of(text, TYPE, "sandboxId")
        return await terminate_sandbox(info.context.services, info.context.scope, key)

    return await outcome_of(work())


async def terminate_many(info: Info, texts: Sequence[str]) -> Outcome[list[Sandbox]]:
    """`terminateSandboxes`: all of them, or, where one is not the project's, none."""

    async def work() -> list[Sandbox]:
        if not 1 <= len(texts) <= MOST_AT_ONCE:
            raise InvalidError(f"Give 1 to {MOST_AT_ONCE} sandboxes.", ("sandboxIds",))
        keys = list(dict.fromkeys(key_of(text, TYPE, "sandboxIds") for text in texts))
        return await terminate_sandboxes(info.context.services, info.context.scope, keys)

    return await outcome_of(work())


async def extend(info: Info, text: str, ttl_seconds: int) -> Outcome[Sandbox]:
    """`extendSandbox`."""

    async def work() -> Sandbox:
        key = key_of(text, TYPE, "sandboxId")
        return await extend_sandbox(info.context.services, info.context.scope, key, ttl_seconds)

    return await outcome_of(work())


async def changes(info: Info, text: str | None) -> AsyncGenerator[Sandbox, None]:
    """`sandboxChanged`."""
    key = key_of(text, TYPE, "sandboxId") if text is not None else None
    async for sandbox in watch_sandboxes(info.context.services, info.context.scope, key):
        yield sandbox


async def execution_of(root: Parent[Any], info: Info, key: UUID) -> Execution | None:
    """`Sandbox.execution`: null for one of another sandbox."""
    execution = await info.context.executions.load(key)
    return execution if execution is not None and execution.sandbox_id == root.id else None
