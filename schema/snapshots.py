"""Snapshots: what a sandbox's files were at a moment, kept to make others from."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from commandcenter.snapshots.create import CreateSnapshot
from commandcenter.snapshots.records import Snapshot as SnapshotRecord
from commandcenter.snapshots.states import SnapshotStatus
from resolvers import sandboxes, snapshots
from resolvers.context import Info
from resolvers.outcomes import Outcome
from schema.arguments import After, First, Id, Input
from schema.enums import describe_enum
from schema.errors import UserError, user_errors
from schema.nodes import Connection, Node
from schema.projects import Project
from schema.sandboxes import Sandbox
from schema.views import view

describe_enum(
    SnapshotStatus,
    "Where a snapshot is in its life.",
    {
        "CREATING": "It is being made.",
        "READY": "Sandboxes can be made from it.",
        "FAILED": "It could not be made; `statusReason` says why.",
    },
)


@strawberry.type(description="What a sandbox's files were at a moment, kept to make others from.")
class Snapshot(Node):
    id: strawberry.ID = strawberry.field(
        resolver=snapshots.snapshot_id,
        description="Opaque and globally unique; as a new sandbox's `template` it is what that is made from.",
    )
    name: str | None = strawberry.field(description="Its name for people.")
    project: Project = strawberry.field(resolver=sandboxes.project_of, description="Whose it is.")
    sandbox: Annotated[Sandbox, strawberry.lazy("schema.sandboxes")] = strawberry.field(
        resolver=snapshots.sandbox_of, description="The sandbox that it was made of."
    )
    provider: str = strawberry.field(description="Who keeps it, and runs sandboxes made from it.")
    provider_snapshot_id: str | None = strawberry.field(
        description="The provider's own id; null until it was made."
    )
    template: str = strawberry.field(description="What its sandbox was made from.")
    status: SnapshotStatus = strawberry.field(description="Where it is in its life.")
    status_reason: str | None = strawberry.field(description="Why it is in this state, in words.")
    created_by: str = strawberry.field(description="Who asked for it: `key:<prefix>`.")
    created_at: datetime = strawberry.field(description="When it was asked for.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether a record is shown as this type."""
        return isinstance(value, (cls, SnapshotRecord))


@strawberry.input(description="A new snapshot of a running sandbox.")
class CreateSnapshotInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    name: str | None = strawberry.field(default=None, description="A name for people.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key twice is the same snapshot."
    )


@strawberry.input(description="Which snapshot is meant.")
class DeleteSnapshotInput:
    snapshot_id: strawberry.ID = strawberry.field(description="The snapshot's id.")


@strawberry.type(description="What came of making a snapshot.")
class CreateSnapshotPayload:
    snapshot: Snapshot | None = strawberry.field(description="The snapshot; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of deleting a snapshot.")
class DeleteSnapshotPayload:
    snapshot: Snapshot | None = strawberry.field(description="What was there; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _snapshot(outcome: Outcome[SnapshotRecord]) -> Snapshot | None:
    return view(Snapshot, outcome.value) if outcome.value else None


@strawberry.type
class SnapshotQueries:
    @strawberry.field(description="One snapshot; null where the project has no such one.")
    async def snapshot(self, info: Info, id: Id) -> Snapshot | None:
        found = await snapshots.snapshot_by_id(info, id)
        return view(Snapshot, found) if found else None

    @strawberry.field(description="The project's snapshots, newest first.")
    async def snapshots(self, info: Info, first: First = None, after: After = None) -> Connection[Snapshot]:
        return view(Connection[Snapshot], await snapshots.snapshot_page(info, None, first, after))


@strawberry.type
class SnapshotMutations:
    @strawberry.mutation(
        description="Keep what a running sandbox's files are now. Processes are not kept. Answers when it is "
        "READY, or CREATING where the provider did not say what came of it: then that is found out."
    )
    async def create_snapshot(self, info: Info, input: Input[CreateSnapshotInput]) -> CreateSnapshotPayload:
        request = CreateSnapshot(name=input.name, idempotency_key=input.idempotency_key)
        outcome = await snapshots.create(info, input.sandbox_id, request)
        return CreateSnapshotPayload(snapshot=_snapshot(outcome), user_errors=user_errors(outcome.errors))

    @strawberry.mutation(description="Delete a snapshot; sandboxes that were made from it live on.")
    async def delete_snapshot(self, info: Info, input: Input[DeleteSnapshotInput]) -> DeleteSnapshotPayload:
        outcome = await snapshots.delete(info, input.snapshot_id)
        return DeleteSnapshotPayload(snapshot=_snapshot(outcome), user_errors=user_errors(outcome.errors))
