"""Showing the domain's enums in GraphQL, each value described."""

from enum import Enum

import strawberry


def describe_enum(
    enum: type[Enum], description: str, values: dict[str, str], *, name: str | None = None
) -> None:
    """Make a GraphQL enum of a domain enum; every value needs a description."""
    missing = {value.name for value in enum} ^ set(values)
    if missing:
        raise ValueError(f"{enum.__name__}: describe exactly its values; at fault: {sorted(missing)}")
    strawberry.enum(enum, name=name, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values[value.name]
