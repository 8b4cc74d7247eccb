"""Keyset pages: lists that stay right, and equally fast, however long they are and whatever is added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from commandcenter.errors import InvalidError

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 100

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: the `first` items after a key, or the `last` before one; keys are ids."""

    first: int | None = None
    after: UUID | None = None
    last: int | None = None
    before: UUID | None = None

    @property
    def size(self) -> int:
        """How many items are asked for, within 1 to 100."""
        if self.first is not None and self.last is not None:
            raise InvalidError("Give first or last, not both.", ("first",))
        name, size = ("last", self.last) if self.last is not None else ("first", self.first)
        if size is None:
            return DEFAULT_PAGE_SIZE
        if not 1 <= size <= LARGEST_PAGE_SIZE:
            raise InvalidError(f"{name} must be between 1 and {LARGEST_PAGE_SIZE}.", (name,))
        return size


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list, in the list's order. `matching` is the query for all of it, to count on demand."""

    items: Sequence[Item]
    has_next: bool
    has_previous: bool
    matching: Select[Any]

    async def count(self, session: AsyncSession) -> int:
        """How many items the whole list has."""
        query = select(func.count()).select_from(self.matching.order_by(None).subquery())
        return (await session.execute(query)).scalar_one()


async def read_page(
    session: AsyncSession,
    matching: Select[Item],
    key: InstrumentedAttribute[UUID],
    request: PageRequest,
    *,
    newest_first: bool = True,
) -> Page[Item]:
    """One page of `matching`, in the order of `key` (a UUIDv7, so the order of making)."""
    backwards = request.last is not None
    descending = newest_first != backwards
    query = matching
    if request.after is not None:
        query = query.where(key < request.after if newest_first else key > request.after)
    if request.before is not None:
        query = query.where(key > request.before if newest_first else key < request.before)
    query = query.order_by(key.desc() if descending else key.asc()).limit(request.size + 1)
    found = list((await session.execute(query)).scalars())
    more = len(found) > request.size
    items = found[: request.size]
    if backwards:
        items.reverse()
    return Page(
        items=items,
        has_next=request.before is not None if backwards else more,
        has_previous=more if backwards else request.after is not None,
        matching=matching,
    )
