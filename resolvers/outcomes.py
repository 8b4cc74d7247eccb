"""The one place where domain errors become what a mutation's payload says of them."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic, TypeVar

from commandcenter.errors import DomainError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Value]):
    """What a mutation came to: a value, or the errors that the caller can mend."""

    value: Value | None
    errors: tuple[DomainError, ...] = ()


async def outcome_of(work: Awaitable[Value]) -> Outcome[Value]:
    """Await `work`; a domain error becomes part of the outcome, any other goes on."""
    try:
        return Outcome(await work)
    except DomainError as error:
        return Outcome(None, (error,))
