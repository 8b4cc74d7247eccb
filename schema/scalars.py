"""Scalars beside GraphQL's own."""

from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from strawberry.schema.types.scalar import DEFAULT_SCALAR_REGISTRY
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
JSON = strawberry.scalars.JSON

_LARGEST = 2**53 - 1


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise ValueError(f"BigInt must be a whole number between -{_LARGEST} and {_LARGEST}.")
    return value


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time(value: str) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("DateTime must be ISO 8601, such as 2026-11-23T12:00:00Z.") from error
    if time.tzinfo is None:
        raise ValueError("DateTime needs an offset from UTC; put Z at its end for UTC.")
    return time


SCALARS: dict[object, ScalarDefinition] = {
    **DEFAULT_SCALAR_REGISTRY,
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of up to 53 bits, for sizes and offsets that may pass 2 GiB.",
        serialize=_whole_number,
        parse_value=_whole_number,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in ISO 8601, always in UTC.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=_utc,
        parse_value=_time,
    ),
}
