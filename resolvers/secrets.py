"""What the secret fields and mutations do."""

from typing import Any

from strawberry import ID, Parent

from commandcenter.secrets.actions import delete_secret, set_secret
from commandcenter.secrets.queries import list_secrets
from commandcenter.secrets.records import Secret
from resolvers.connections import ConnectionView, page_request
from resolvers.context import Info
from resolvers.ids import global_id
from resolvers.outcomes import Outcome, outcome_of

TYPE = "Secret"


def secret_id(root: Parent[Any]) -> ID:
    """`Secret.id`."""
    return global_id(TYPE, root.id)


async def secret_page(info: Info, first: int | None, after: str | None) -> ConnectionView[Secret]:
    """`Query.secrets`."""
    context = info.context
    async with context.services.database.transaction(context.scope.project_id) as session:
        page = await list_secrets(session, context.scope, page_request(TYPE, first, after))
    return ConnectionView(page, TYPE, lambda secret: secret.id)


async def set_value(info: Info, name: str, value: str) -> Outcome[Secret]:
    """`setSecret`."""

    async def work() -> Secret:
        context = info.context
        async with context.services.database.transaction(context.scope.project_id) as session:
            return await set_secret(session, context.services.keyring, context.scope, name, value)

    return await outcome_of(work())


async def delete(info: Info, name: str) -> Outcome[Secret]:
    """`deleteSecret`."""

    async def work() -> Secret:
        context = info.context
        async with context.services.database.transaction(context.scope.project_id) as session:
            return await delete_secret(session, context.scope, name)

    return await outcome_of(work())
