"""Health: whether the parts of this installation work."""

import strawberry

from resolvers import health
from resolvers.context import Info
from resolvers.health import HealthStatus
from schema.costs import ASKS_PROVIDER
from schema.enums import describe_enum
from schema.views import view

describe_enum(
    HealthStatus,
    "Whether a part works.",
    {"OK": "It works.", "FAILING": "It does not; `detail` says what is wrong."},
)


@strawberry.type(description="One part's health.")
class ComponentHealth:
    name: str = strawberry.field(description="Which part.")
    status: HealthStatus = strawberry.field(description="Whether it works.")
    detail: str = strawberry.field(description="In words.")


@strawberry.type(description="The health of this installation.")
class Health:
    status: HealthStatus = strawberry.field(description="OK where every part is.")
    database: ComponentHealth = strawberry.field(description="PostgreSQL.")
    queue: ComponentHealth = strawberry.field(description="Valkey.")
    workers: ComponentHealth = strawberry.field(description="The worker processes.")
    providers: list[ComponentHealth] = strawberry.field(description="Each configured provider.")


@strawberry.type
class HealthQueries:
    @strawberry.field(metadata=ASKS_PROVIDER, description="Whether the parts of this installation work.")
    async def health(self, info: Info) -> Health:
        return view(Health, await health.health(info))
