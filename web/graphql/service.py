"""What the HTTP and WebSocket protocols share: the schema, who may use it, and how an operation is run."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from strawberry import Schema
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from commandcenter.access.scope import Scope
from commandcenter.database import Database
from web.graphql.errors import Payload, internal_error, present_errors, present_result
from web.graphql.limits import Limits
from web.live_credentials import LiveCredentials

ALL_OPERATIONS = frozenset(OperationType)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as a client asks for it."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RefusedOperation:
    """The operation as a whole failed; most often before it ran. `errors` are in the response format."""

    errors: list[Payload]
    has_wrong_type: bool = False


@dataclass(frozen=True, slots=True)
class GraphQLService:
    """A schema with everything that carrying it over a network takes.

    `make_context` makes what resolvers see as `info.context`: a new one for every operation, so that
    loaders never outlive the operation that they load for, on long-lived sockets neither.
    """

    schema: Schema
    database: Database
    make_context: Callable[[Scope], object]
    live_credentials: LiveCredentials
    limits: Limits = field(default_factory=Limits)
    body_bytes: int = 1_048_576
    operations_per_connection: int = 100
    connection_init_timeout: timedelta = timedelta(seconds=10)

    async def stream(
        self, operation: Operation, scope: Scope, allowed: Iterable[OperationType] = ALL_OPERATIONS
    ) -> AsyncGenerator[Payload | RefusedOperation, None]:
        """The results of an operation in the response format; one, unless it is a subscription.

        Errors are part of what is yielded, masked where they are ours; nothing is raised but cancellation.
        """
        results = None
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.make_context(scope),
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions,
                allowed_operation_types=allowed,
            )
            async for result in results:
                if isinstance(result, ExecutionResult):
                    yield _refusal(result) or present_result(result)
                # A source that always has more must not keep the process from everything else.
                await asyncio.sleep(0)
        except Exception as error:
            yield RefusedOperation([internal_error(error)])
        finally:
            if results is not None:
                await results.aclose()

    async def execute(
        self, operation: Operation, scope: Scope, allowed: Iterable[OperationType]
    ) -> Payload | RefusedOperation:
        """The result of a query or mutation in the response format."""
        async with aclosing(self.stream(operation, scope, allowed)) as results:
            return await anext(results)


def _refusal(result: ExecutionResult) -> RefusedOperation | None:
    errors = result.errors or []
    before_execution = isinstance(result, PreExecutionError)
    if not before_execution and (not errors or result.data is not None or any(e.path for e in errors)):
        return None
    wrong_type = any(isinstance(error.original_error, InvalidOperationTypeError) for error in errors)
    return RefusedOperation(present_errors(errors), has_wrong_type=wrong_type)
