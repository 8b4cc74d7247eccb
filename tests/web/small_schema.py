"""A small schema that shows what the protocols carry: values, errors of each kind, pages, streams."""

# Strawberry types its decorators with arguments as Any.
# mypy: disable-error-code="untyped-decorator"

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from commandcenter.access.scope import Scope
from commandcenter.errors import InvalidError
from web.graphql.documents import bounded_documents
from web.graphql.limits import Limits


class OperationContext:
    """What resolvers see; each operation has its own."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


Info = strawberry.Info[OperationContext, None]


@strawberry.type
class Person:
    """Somebody with friends."""

    name: str

    @strawberry.field(description="A page of friends.")
    def friends(self, first: int | None = None, last: int | None = None) -> list["Person"]:
        return [Person(name=f"{self.name}.{number}") for number in range(first or last or 0)]


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field(description="Whose key it is.")
    def actor(self, info: Info) -> str:
        return info.context.scope.actor

    @strawberry.field(description="The identity of the operation's context.")
    def context_identity(self, info: Info) -> str:
        return str(id(info.context))

    @strawberry.field(description="What was given.")
    def echo(self, text: str) -> str:
        return text

    @strawberry.field(description="What was given, as JSON.")
    def echo_json(self, value: JSON) -> JSON:
        return value

    @strawberry.field(description="Somebody.")
    def person(self) -> Person:
        return Person(name="Ada")

    @strawberry.field(description="Fails by our own fault.")
    def failing(self) -> str | None:
        raise RuntimeError("the password is hunter2")

    @strawberry.field(description="Fails by the caller's fault.")
    def refusing(self) -> str | None:
        raise InvalidError("ttlSeconds must be positive.", ("ttlSeconds",))

    @strawberry.field(description="Fails with a code of its own.")
    def forbidding(self) -> str | None:
        raise GraphQLError("Ask an administrator.", extensions={"code": "FORBIDDEN"})

    @strawberry.field(description="Breaks its own type.")
    def lying(self) -> int | None:
        return "no number"  # type: ignore[return-value]


@strawberry.type
class Mutation:
    """Writes."""

    @strawberry.mutation(description="Adds one.")
    def increment(self, number: int) -> int:
        return number + 1


@strawberry.type
class LogBatch:
    """Lines, many at once."""

    text: str
    cursor: str
    ended: bool


@strawberry.type
class Subscription:
    """Streams."""

    @strawberry.subscription(description="Counts up to a number.")
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription(description="Counts without end, slowly.")
    async def tick(self) -> AsyncGenerator[int, None]:
        number = 0
        while True:
            number += 1
            yield number
            await asyncio.sleep(0.2)

    @strawberry.subscription(description="Yields once, then waits for ever.")
    async def wait(self, info: Info) -> AsyncGenerator[str, None]:
        OPEN_STREAMS.add(id(info.context))
        try:
            yield str(id(info.context))
            await asyncio.Event().wait()
        finally:
            OPEN_STREAMS.discard(id(info.context))
            STREAM_CLOSED.set()

    @strawberry.subscription(description="Fails by our own fault after its first value.")
    async def break_down(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("the password is hunter2")

    @strawberry.subscription(description="Refuses by the caller's fault before its first value.")
    async def refuse(self) -> AsyncGenerator[int, None]:
        raise InvalidError("There is nothing to see.")
        yield 1

    @strawberry.subscription(description="As much output as is asked for.")
    async def logs(self, batches: int, bytes_each: int) -> AsyncGenerator[LogBatch, None]:
        text = ("x" * 63 + "\n") * (bytes_each // 64)
        try:
            for number in range(batches):
                PRODUCED["batches"] = number
                yield LogBatch(text=text, cursor=str(number), ended=number == batches - 1)
        finally:
            STREAM_CLOSED.set()


OPEN_STREAMS: set[int] = set()
PRODUCED = {"batches": 0}
STREAM_CLOSED = asyncio.Event()


class QuietSchema(strawberry.Schema):
    """A schema that leaves the logging of errors to `web.graphql.errors`."""

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Do nothing."""


def small_schema(limits: Limits) -> strawberry.Schema:
    """A new schema with its own document cache."""
    return QuietSchema(
        Query,
        Mutation,
        Subscription,
        extensions=[bounded_documents(limits)],
        config=StrawberryConfig(disable_field_suggestions=True),
    )
