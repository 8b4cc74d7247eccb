"""Providers: who runs sandboxes."""

import strawberry

from resolvers import providers
from resolvers.context import Info
from schema.costs import ASKS_PROVIDER
from schema.scalars import JSON
from schema.views import view


@strawberry.type(description="Somebody who runs sandboxes.")
class Provider:
    name: str = strawberry.field(description="What `createSandbox(provider:)` takes.")
    kind: str = strawberry.field(
        description="`local`: the embedded runtime; `e2b`: E2B's cloud, or what speaks its protocol."
    )
    configured: bool = strawberry.field(description="Whether this installation has an account there.")
    healthy: bool = strawberry.field(description="Whether it answers and takes our key.")
    detail: str = strawberry.field(description="In words: what is wrong, or that nothing is.")
    isolation: str = strawberry.field(
        description="What keeps its sandboxes apart, and what that is good for."
    )
    capabilities: JSON | None = strawberry.field(
        description="What holds there, as it says itself: walls, guarantees, limits, network. "
        "Null where it doesn't tell."
    )


@strawberry.type
class ProviderQueries:
    @strawberry.field(
        metadata=ASKS_PROVIDER, description="The providers that this product knows, used here or not."
    )
    async def providers(self, info: Info) -> list[Provider]:
        return [view(Provider, each) for each in await providers.providers(info)]
