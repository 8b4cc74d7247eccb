"""Relay: objects that can be asked for by id alone, and connections."""

from typing import Generic, TypeVar

import strawberry

from resolvers import connections
from schema.costs import READS_MANY

NodeType = TypeVar("NodeType")


@strawberry.interface(description="An object with an id, by which `Query.node` finds it.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque and globally unique.")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is more before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item.")


@strawberry.type(description="An item of a list, with its cursor.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(description="Give it as `after` or `before` to go on from here.")
    node: NodeType = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The items with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The items.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    total_count: int = strawberry.field(
        resolver=connections.count_all,
        metadata=READS_MANY,
        description="How many items the whole list has.",
    )
