"""What the API key fields and mutations do."""

from datetime import datetime
from typing import Any

from strawberry import ID, Parent

from commandcenter.access.scope import Role
from commandcenter.keys.actions import create_key, revoke_key
from commandcenter.keys.queries import list_keys
from commandcenter.keys.records import ApiKey
from commandcenter.signals import key_topic
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id, key_of
from resolvers.outcomes import Outcome, outcome_of

TYPE = "ApiKey"


def key_id(root: Parent[Any]) -> ID:
    """`ApiKey.id`."""
    return global_id(TYPE, root.id)


async def key_page(info: Info, first: int | None, after: str | None) -> ConnectionView[ApiKey]:
    """`Project.apiKeys`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_keys(session, context.scope, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda key: key.id)


async def create(
    info: Info, name: str, role: Role, expires_at: datetime | None
) -> Outcome[tuple[ApiKey, str]]:
    """`createApiKey`."""

    async def work() -> tuple[ApiKey, str]:
        context = info.context
        async with context.services.database.transaction(context.scope.project_id) as session:
            key, secret = await create_key(
                session, context.scope, name=name, role=role, expires_at=expires_at
            )
            await session.refresh(key)
            return key, secret

    return await outcome_of(work())


async def revoke(info: Info, text: str) -> Outcome[ApiKey]:
    """`revokeApiKey`."""

    async def work() -> ApiKey:
        context = info.context
        async with context.services.database.transaction(context.scope.project_id) as session:
            key = await revoke_key(session, context.scope, key_of(text, TYPE, "keyId"))
        context.services.signals.publish(key_topic(), str(key.id))
        return key

    return await outcome_of(work())
