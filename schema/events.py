"""Events: the audit trail."""

from datetime import datetime

import strawberry

from commandcenter.events.queries import EventSelection
from resolvers import events
from resolvers.context import Info
from resolvers.ids import key_of
from schema.arguments import After, Filter, First
from schema.nodes import Connection
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
