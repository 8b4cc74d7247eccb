"""Sandboxes: isolated machines, and their life."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import strawberry

from commandcenter.events.queries import EventSelection
from commandcenter.executions.queries import ExecutionSelection
from commandcenter.files.queries import Listing
from commandcenter.sandboxes.records import Sandbox as SandboxRecord
from commandcenter.sandboxes.states import SandboxStatus, TerminationReason, TimeoutAction
from resolvers import events, executions, files, logs, sandboxes, snapshots
from resolvers.context import Info
from resolvers.ids import key_of
from schema.arguments import After, Filter, First, Id, Port, Stream
from schema.costs import ASKS_PROVIDER
from schema.enums import describe_enum
from schema.events import Event
from schema.files import AfterPath, Depth, FileEntry, Limit, Path
from schema.logs import LogChunkConnection
from schema.nodes import Connection, Node
from schema.projects import Project
from schema.scalars import JSON, BigInt
from schema.views import view

if TYPE_CHECKING:
    from schema.executions import Execution, ExecutionFilter
    from schema.snapshots import Snapshot

describe_enum(
    SandboxStatus,
    "Where a sandbox is in its life.",
    {
        "CREATING": "It was asked for: it waits for its turn at its provider, or is being made.",
        "RUNNING": "It runs: commands and file operations work.",
        "PAUSED": "It was stopped with its files kept; resume it to go on.",
        "TERMINATED": "It has ended for good; its records and output stay readable.",
        "FAILED": "It could not be made; `statusReason` says why.",
    },
)

describe_enum(
    TerminationReason,
    "Why a sandbox ended.",
    {
        "USER": "Somebody asked for it.",
        "TTL": "Its time to live ran out.",
        "IDLE": "Nothing was done in it for its idle timeout.",
        "BUDGET": "Its project's budget was spent.",
        "OUT_OF_MEMORY": "It used more memory than it has.",
        "PROVIDER": "Its provider ended it, or lost it.",
        "ORPHAN": "Nobody's record stood for it.",
        "CRASH": "It broke down.",
    },
)

describe_enum(
    TimeoutAction,
    "What happens when a sandbox's time to live runs out.",
    {"TERMINATE": "It is ended.", "PAUSE": "It is paused, its files kept."},
)


@strawberry.type(description="What a sandbox uses at one moment.")
class SandboxMetrics:
    cpu_percent: float = strawberry.field(
        name="cpuUsedPct", description="Processor use in percent; 100 is one processor."
    )
    memory_used: BigInt = strawberry.field(name="memUsedBytes", description="Memory in use, in bytes.")
    memory_total: BigInt = strawberry.field(name="memTotalBytes", description="Memory it may use, in bytes.")
    disk_used: BigInt = strawberry.field(name="diskUsedBytes", description="Disk in use, in bytes.")
    disk_total: BigInt = strawberry.field(name="diskTotalBytes", description="Disk it may use, in bytes.")
    at: datetime = strawberry.field(description="When it was measured.")


@strawberry.type(description="An isolated machine.")
class Sandbox(Node):
    id: strawberry.ID = strawberry.field(
        resolver=sandboxes.sandbox_id, description="Opaque and globally unique."
    )
    name: str | None = strawberry.field(description="A name for people.")
    project: Project = strawberry.field(
        resolver=sandboxes.project_of, description="The project that it belongs to."
    )
    provider: str = strawberry.field(description="Who runs it: `local` or `e2b`.")
    provider_sandbox_id: str | None = strawberry.field(description="The provider's own id of it.")
    template: str = strawberry.field(description="What it was made from.")
    status: SandboxStatus = strawberry.field(description="Where it is in its life.")
    status_reason: str | None = strawberry.field(
        description="In words: why it is in this state, and what may be done."
    )
    termination_reason: TerminationReason | None = strawberry.field(
        description="Why it ended, or is about to."
    )
    user_metadata: JSON = strawberry.field(name="metadata", description="What its maker attached to it.")
    cpu_count: int | None = strawberry.field(description="How many processors it has.")
    memory_mb: int | None = strawberry.field(description="How much memory it has, in MiB.")
    ttl_seconds: int = strawberry.field(description="The time to live that it was made with, in seconds.")
    idle_timeout_seconds: int | None = strawberry.field(
        description="After so many seconds without a command, input or file operation it is ended."
    )
    on_timeout: TimeoutAction = strawberry.field(description="What happens when its time to live runs out.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When it first ran.")
    last_activity_at: datetime = strawberry.field(
        description="When a command, input or file operation last used it; looking at it is no use."
    )
    expires_at: datetime | None = strawberry.field(
        description=(
            "When its time to live runs out; null while it is paused or has ended. One that its provider "
            "paused, though it was to be terminated on timeout, keeps it and ends then unless resumed."
        )
    )
    terminated_at: datetime | None = strawberry.field(description="When it ended.")
    parent: Annotated["Sandbox", strawberry.lazy("schema.sandboxes")] | None = strawberry.field(
        resolver=sandboxes.parent_of, description="The sandbox that this one was forked from."
    )
    metrics: SandboxMetrics | None = strawberry.field(
        resolver=sandboxes.sandbox_metrics,
        metadata=ASKS_PROVIDER,
        description="What it uses now; null where it does not run.",
    )

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether a record is shown as this type."""
        return isinstance(value, (cls, SandboxRecord))

    @strawberry.field(description="Where a server that listens on a port inside is reached.")
    def url(self, info: Info, port: Port) -> str:
        return sandboxes.sandbox_url(view(SandboxRecord, self), info, port)

    @strawberry.field(description="One of its executions; null where it has no such one.")
    async def execution(
        self, info: Info, id: Id
    ) -> Annotated["Execution", strawberry.lazy("schema.executions")] | None:
        found = await sandboxes.execution_of(self, info, key_of(id, executions.TYPE, "id"))
        return cast("Execution | None", found)

    @strawberry.field(description="Its executions, newest first.")
    async def executions(
        self,
        info: Info,
        filter: Filter[Annotated["ExecutionFilter", strawberry.lazy("schema.executions")]] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Annotated["Execution", strawberry.lazy("schema.executions")]]:
        record = view(SandboxRecord, self)
        selection = filter.selection(record.id) if filter else ExecutionSelection(sandbox_id=record.id)
        page = await executions.execution_page(info, selection, first, after)
        return cast("Connection[Execution]", page)

    @strawberry.field(description="The snapshots that were made of it, newest first.")
    async def snapshots(
        self, info: Info, first: First = None, after: After = None
    ) -> Connection[Annotated["Snapshot", strawberry.lazy("schema.snapshots")]]:
        page = await snapshots.snapshot_page(info, view(SandboxRecord, self).id, first, after)
        return cast("Connection[Snapshot]", page)

    @strawberry.field(description="The stored output of all its executions, execution by execution.")
    async def logs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        stream: Stream = None,
    ) -> LogChunkConnection:
        return view(LogChunkConnection, await logs.chunk_page(self, info, first, after, stream))

    @strawberry.field(
        metadata=ASKS_PROVIDER,
        description="What a directory holds, down to `depth` levels, by path. Relative ones begin at home. "
        "More than 2,000 entries come in pages: give `limit`, and as `after` the path of the last one "
        "before.",
    )
    async def files(
        self,
        info: Info,
        path: Path = "/home/user",
        depth: Depth = 1,
        limit: Limit = None,
        after: AfterPath = None,
    ) -> list[FileEntry]:
        listing = Listing(path=path, depth=depth, limit=limit, after=after)
        return view(list[FileEntry], await files.files_in(self, info, listing))

    @strawberry.field(
        metadata=ASKS_PROVIDER,
        description="What is at a path; null where nothing is. A link is shown as a link.",
    )
    async def file(self, info: Info, path: Path) -> FileEntry | None:
        found = await files.file_at(self, info, path)
        return view(FileEntry, found) if found else None

    @strawberry.field(description="What happened to it, newest first.")
    async def events(self, info: Info, first: First = None, after: After = None) -> Connection[Event]:
        record = view(SandboxRecord, self)
        selection = EventSelection(sandbox_id=record.id)
        return view(Connection[Event], await events.event_page(info, selection, first, after))
