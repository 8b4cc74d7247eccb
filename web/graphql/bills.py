"""What an operation costs its caller, and whether its key and project have that much left."""

import asyncio
import math
from contextvars import ContextVar
from dataclasses import dataclass, field

from graphql import GraphQLError

from commandcenter.access.scope import Scope
from commandcenter.rates.allowances import RateLimits
from commandcenter.rates.buckets import Verdict
from web.graphql.errors import Payload
from web.rates import refusal_payload

# An operation that is refused for what it asks was looked at all the same.
_REFUSED_POINTS = 1


@dataclass(slots=True)
class Bill:
    """The bill of one operation: its points, None where it could not be measured, and the most allowed.

    `settled` is set once it is known whether the caller has enough left.
    """

    rates: RateLimits
    scope: Scope
    limit: int
    requested: int | None = None
    verdict: Verdict | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def refusal(self) -> Payload | None:
        """The error of an operation for which too little is left."""
        refused = self.verdict is not None and self.verdict.refused_by is not None
        return refusal_payload(self.verdict) if self.verdict is not None and refused else None

    @property
    def extensions(self) -> Payload:
        """What the answer says about the cost, in `extensions`."""
        points = self.verdict.standing("points") if self.verdict else None
        return {
            "cost": {
                "requested": self.requested,
                "limit": self.limit,
                "remaining": points.remaining if points else None,
                "resetSeconds": math.ceil(points.reset_seconds) if points else None,
            }
        }

    def refuse_early(self) -> bool:
        """Whether the caller is known to have nothing left, so that the operation need not be looked at."""
        self.verdict = self.rates.known_refusal(self.scope)
        if self.verdict is None:
            return False
        self.settled.set()
        return True

    def settle(self, *, is_faulty: bool = False) -> None:
        """Take a request and the operation's points; few for one that is refused for what it asks."""
        points = _REFUSED_POINTS if is_faulty or self.requested is None else self.requested
        self.verdict = self.rates.take_request(self.scope, points)
        self.settled.set()

    def errors(self) -> list[GraphQLError]:
        """The refusal in graphql-core's form; nothing where there is none."""
        refusal = self.refusal
        return [GraphQLError(refusal["message"], extensions=refusal["extensions"])] if refusal else []


# The operation that this task is about to hand to the schema.
current_bill: ContextVar[Bill] = ContextVar("current_bill")
