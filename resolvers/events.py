"""What the event fields do."""

from typing import Any

from strawberry import ID, Parent

from commandcenter.events.queries import EventSelection, list_events, list_installation_events
from commandcenter.events.records import Event
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id

TYPE = "Event"


def event_id(root: Parent[Any]) -> ID:
    """`Event.id`."""
    return global_id(TYPE, root.id)


async def event_page(
    info: Info, selection: EventSelection, first: int | None, after: str | None
) -> ConnectionView[Event]:
    """`Query.events` and `Sandbox.events`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_events(session, context.scope, selection, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda event: event.id)


async def installation_event_page(info: Info, first: int | None, after: str | None) -> ConnectionView[Event]:
    """`Query.installationEvents`."""
    context = info.context
    async with context.services.database.system_transaction() as session:
        page = await list_installation_events(session, context.scope, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda event: event.id)


async def count_installation_events(root: Parent[Any], info: Info) -> int:
    """`InstallationEventConnection.totalCount`."""
    async with info.context.services.database.system_transaction() as session:
        return int(await root.page.count(session))
