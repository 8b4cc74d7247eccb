"""What the snapshot fields and mutations do."""

from typing import Any
from uuid import UUID

from strawberry import ID, Parent

from commandcenter.sandboxes.records import Sandbox
from commandcenter.snapshots.create import CreateSnapshot, create_snapshot
from commandcenter.snapshots.delete import delete_snapshot
from commandcenter.snapshots.queries import list_snapshots
from commandcenter.snapshots.records import Snapshot
from resolvers import sandboxes
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id, key_of
from resolvers.outcomes import Outcome, outcome_of

TYPE = "Snapshot"


def snapshot_id(root: Parent[Any]) -> ID:
    """`Snapshot.id`."""
    return global_id(TYPE, root.id)


async def sandbox_of(root: Parent[Any], info: Info) -> Sandbox | None:
    """`Snapshot.sandbox`."""
    return await info.context.sandboxes.load(root.sandbox_id)


async def snapshot_by_id(info: Info, text: str) -> Snapshot | None:
    """`Query.snapshot`: null for what the project does not have."""
    return await info.context.snapshots.load(key_of(text, TYPE, "id"))


async def snapshot_page(
    info: Info, sandbox_id: UUID | None, first: int | None, after: str | None
) -> ConnectionView[Snapshot]:
    """`Query.snapshots` and `Sandbox.snapshots`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_snapshots(session, context.scope, sandbox_id, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda snapshot: snapshot.id)


async def create(info: Info, sandbox_id: str, request: CreateSnapshot) -> Outcome[Snapshot]:
    """`createSnapshot`."""

    async def work() -> Snapshot:
        key = key_of(sandbox_id, sandboxes.TYPE, "sandboxId")
        return await create_snapshot(info.context.services, info.context.scope, key, request)

    return await outcome_of(work())


async def delete(info: Info, text: str) -> Outcome[Snapshot]:
    """`deleteSnapshot`."""

    async def work() -> Snapshot:
        key = key_of(text, TYPE, "snapshotId")
        return await delete_snapshot(info.context.services, info.context.scope, key)

    return await outcome_of(work())
