"""Changing a state: a compare-and-set against the table of transitions, with its event in one transaction."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncSession

Status = TypeVar("Status", bound=StrEnum)


def sources_of(transitions: Mapping[Status, frozenset[Status]], target: Status) -> list[Status]:
    """The states from which `target` may be entered."""
    return [source for source, targets in transitions.items() if target in targets]


async def change_state(
    session: AsyncSession,
    record: Any,
    record_id: UUID,
    transitions: Mapping[Status, frozenset[Status]],
    target: Status,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
    **values: Any,
) -> Any | None:
    """Set the state of a record, if the table of transitions lets it be entered from where it is now.

    `only_if` are further conditions on the record, checked in the same statement.

    Returns the changed record; None when its state did not allow it, or somebody else was faster. The
    caller writes the event in the same transaction.
    """
    return await session.scalar(
        update(record)
        .where(record.id == record_id, record.status.in_(sources_of(transitions, target)), *only_if)
        .values(status=target, **values)
        .returning(record),
        # What is returned is what the session holds; to evaluate the condition in Python too costs more
        # than the statement.
        execution_options={"populate_existing": True, "synchronize_session": False},
    )
