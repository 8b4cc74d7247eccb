"""Relay connections over keyset pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from commandcenter.errors import InvalidError
from commandcenter.pages import Page, PageRequest
from resolvers.context import Info
from resolvers.ids import global_id, parse_global_id

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageState:
    """What `PageInfo` shows."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class EdgeView(Generic[Item]):
    """An item with the cursor after it."""

    cursor: str
    node: Item


class ConnectionView(Generic[Item]):
    """What a connection type shows of a page."""

    def __init__(self, page: Page[Item], type_name: str, key: Callable[[Item], UUID]) -> None:
        self.page = page
        self.nodes = list(page.items)
        self._type_name = type_name
        self._key = key

    @property
    def edges(self) -> list[EdgeView[Item]]:
        """The items with their cursors."""
        return [EdgeView(self._cursor(node), node) for node in self.nodes]

    @property
    def page_info(self) -> PageState:
        """Where the page lies in the list."""
        return PageState(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=self._cursor(self.nodes[0]) if self.nodes else None,
            end_cursor=self._cursor(self.nodes[-1]) if self.nodes else None,
        )

    def _cursor(self, node: Item) -> str:
        return global_id(f"{self._type_name}Cursor", self._key(node))


def page_request(
    type_name: str,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> PageRequest:
    """The page that connection arguments ask for; `InvalidError` for a cursor that is none of this list."""
    return PageRequest(
        first=first,
        after=_key(type_name, after, "after"),
        last=last,
        before=_key(type_name, before, "before"),
    )


def _key(type_name: str, cursor: str | None, field: str) -> UUID | None:
    if cursor is None:
        return None
    parsed = parse_global_id(cursor)
    if parsed is None or parsed[0] != f"{type_name}Cursor":
        raise InvalidError(f"{field} is no cursor of this list; use one that came with it.", (field,))
    return parsed[1]


async def count_all(root: Any, info: Info) -> int:
    """How many items the whole list has; counted only where it is asked for."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        return int(await root.page.count(session))
