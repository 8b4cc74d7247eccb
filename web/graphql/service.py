"""What the HTTP and WebSocket protocols share: the schema, who may use it, and how an operation is run."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from strawberry import Schema
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.schema.schema import StreamResult
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from commandcenter.access.scope import Scope
from commandcenter.database import Database
from commandcenter.rates.allowances import RateLimits
from web.graphql.bills import Bill, current_bill
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
    """The operation as a whole failed; most often before it ran.

    `errors` and `extensions`, which tell of the cost, are in the response format.
    """

    errors: list[Payload]
    extensions: Payload = field(default_factory=dict)
    has_wrong_type: bool = False
    is_rate_limited: bool = False

    @property
    def payload(self) -> Payload:
        """The whole answer."""
        return {"errors": self.errors, **({"extensions": self.extensions} if self.extensions else {})}


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
    rates: RateLimits
    limits: Limits = field(default_factory=Limits)
    body_bytes: int = 1_048_576
    operations_per_connection: int = 100
    connection_init_timeout: timedelta = timedelta(seconds=10)

    def bill(self, scope: Scope) -> Bill:
        """The bill of an operation that is asked for in the scope's name."""
        return Bill(self.rates, scope, self.limits.points)

    async def stream(
        self, operation: Operation, bill: Bill, allowed: Iterable[OperationType] = ALL_OPERATIONS
    ) -> AsyncGenerator[Payload | RefusedOperation, None]:
        """The results of an operation in the response format; one, unless it is a subscription.

        The first one tells what it cost. Errors are part of what is yielded, masked where they are ours;
        nothing is raised but cancellation.
        """
        results = None
        try:
            if bill.refuse_early():
                yield _rate_limited(bill)
                return
            results = await self._begin(operation, bill, allowed)
            is_first = True
            async for result in results:
                if isinstance(result, ExecutionResult):
                    yield _present_first(result, bill) if is_first else _present(result)
                is_first = False
                # A source that always has more must not keep the process from everything else.
                await asyncio.sleep(0)
        except Exception as error:
            yield RefusedOperation([internal_error(error)], bill.extensions)
        finally:
            if results is not None:
                await results.aclose()

    async def execute(
        self, operation: Operation, bill: Bill, allowed: Iterable[OperationType]
    ) -> Payload | RefusedOperation:
        """The result of a query or mutation in the response format."""
        async with aclosing(self.stream(operation, bill, allowed)) as results:
            return await anext(results)

    async def _begin(
        self, operation: Operation, bill: Bill, allowed: Iterable[OperationType]
    ) -> StreamResult:
        token = current_bill.set(bill)
        try:
            return await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.make_context(bill.scope),
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions,
                allowed_operation_types=allowed,
            )
        finally:
            current_bill.reset(token)


def _present_first(result: ExecutionResult, bill: Bill) -> Payload | RefusedOperation:
    """A result with what the operation cost; what could not be parsed is paid for too."""
    if bill.verdict is None:
        bill.settle(is_faulty=True)
    if bill.refusal is not None:
        return _rate_limited(bill)
    presented = _present(result)
    if isinstance(presented, RefusedOperation):
        return replace(presented, extensions=bill.extensions)
    presented["extensions"] = {**presented.get("extensions", {}), **bill.extensions}
    return presented


def _present(result: ExecutionResult) -> Payload | RefusedOperation:
    return _refusal(result) or present_result(result)


def _rate_limited(bill: Bill) -> RefusedOperation:
    refusal = bill.refusal
    return RefusedOperation([refusal] if refusal else [], bill.extensions, is_rate_limited=True)


def _refusal(result: ExecutionResult) -> RefusedOperation | None:
    errors = result.errors or []
    before_execution = isinstance(result, PreExecutionError)
    if not before_execution and (not errors or result.data is not None or any(e.path for e in errors)):
        return None
    wrong_type = any(isinstance(error.original_error, InvalidOperationTypeError) for error in errors)
    return RefusedOperation(present_errors(errors), has_wrong_type=wrong_type)
