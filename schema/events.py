"""Events: the audit trail."""

from datetime import datetime

import strawberry

from commandcenter.events.queries import EventSelection
from resolvers import events
from resolvers.context import Info
from resolvers.ids import key_of
from schema.arguments import After, Filter, First
from schema.nodes import Connection, Edge, PageInfo
from schema.scalars import JSON
from schema.views import view


@strawberry.type(description="Something that happened, written in the moment that made it happen.")
class Event:
    id: strawberry.ID = strawberry.field(resolver=events.event_id, description="Opaque and globally unique.")
    kind: str = strawberry.field(description="What happened, such as `sandbox.terminated`.")
    actor: str = strawberry.field(description="Who did it: `key:<prefix>` or `system:<task>`.")
    address: str | None = strawberry.field(description="The network address that it was asked from.")
    data: JSON = strawberry.field(description="The particulars.")
    at: datetime = strawberry.field(description="When it happened.")


@strawberry.type(description="A page of the events of the installation itself.")
class InstallationEventConnection:
    edges: list[Edge[Event]] = strawberry.field(description="The events with their cursors.")
    nodes: list[Event] = strawberry.field(description="The events.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    total_count: int = strawberry.field(
        resolver=events.count_installation_events, description="How many events there are."
    )


@strawberry.input(description="Which events are meant; what is not given does not matter.")
class EventFilter:
    kind: list[str] | None = strawberry.field(default=None, description="Of one of these kinds.")
    sandbox_id: strawberry.ID | None = strawberry.field(default=None, description="Of this sandbox.")


@strawberry.type
class EventQueries:
    @strawberry.field(description="The project's audit trail, newest first.")
    async def events(
        self,
        info: Info,
        filter: Filter[EventFilter] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Event]:
        selection = EventSelection()
        if filter is not None:
            sandbox = key_of(filter.sandbox_id, "Sandbox", "sandboxId") if filter.sandbox_id else None
            selection = EventSelection(kinds=filter.kind, sandbox_id=sandbox)
        return view(Connection[Event], await events.event_page(info, selection, first, after))

    @strawberry.field(
        description="What happened that belongs to no project, newest first; for instance administrators."
    )
    async def installation_events(
        self, info: Info, first: First = None, after: After = None
    ) -> InstallationEventConnection:
        return view(InstallationEventConnection, await events.installation_event_page(info, first, after))
