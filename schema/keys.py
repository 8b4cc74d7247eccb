"""API keys."""

from datetime import datetime

import strawberry

from commandcenter.access.scope import Role
from resolvers import keys
from resolvers.context import Info
from schema.arguments import Input
from schema.enums import describe_enum
from schema.errors import UserError, user_errors
from schema.views import view

describe_enum(
    Role,
    "What a key may do; each role includes the ones before it.",
    {
        "VIEWER": "Look at everything of the project.",
        "OPERATOR": "Make, use and end sandboxes.",
        "ADMINISTRATOR": "Change the project's limits, keys and secrets.",
    },
)


@strawberry.type(description="An API key of a project; never the key itself.")
class ApiKey:
    id: strawberry.ID = strawberry.field(resolver=keys.key_id, description="Opaque and globally unique.")
    name: str = strawberry.field(description="A name for people.")
    prefix: str = strawberry.field(description="How the key begins, to tell it from others.")
    role: Role = strawberry.field(description="What it may do.")
    created_by: str = strawberry.field(description="Who made it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute.")
    revoked_at: datetime | None = strawberry.field(description="When somebody ended it.")


@strawberry.input(description="A new API key of the caller's project.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="A name for people.")
    role: Role = strawberry.field(description="What it may do.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends by itself.")


@strawberry.input(description="Which API key to end.")
class RevokeApiKeyInput:
    key_id: strawberry.ID = strawberry.field(description="The key's id.")


@strawberry.type(description="What came of making a key.")
class CreateApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(description="The key's record; null where there are errors.")
    secret: str | None = strawberry.field(description="The key itself: it is shown this once.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of a change to a key.")
class ApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(description="The key's record; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type
class KeyMutations:
    @strawberry.mutation(description="Make an API key; the only time that it is shown. For administrators.")
    async def create_api_key(self, info: Info, input: Input[CreateApiKeyInput]) -> CreateApiKeyPayload:
        outcome = await keys.create(info, input.name, input.role, input.expires_at)
        record, secret = outcome.value or (None, None)
        return CreateApiKeyPayload(
            api_key=view(ApiKey, record) if record else None,
            secret=secret,
            user_errors=user_errors(outcome.errors),
        )

    @strawberry.mutation(description="End an API key for good; twice is no error. For administrators.")
    async def revoke_api_key(self, info: Info, input: Input[RevokeApiKeyInput]) -> ApiKeyPayload:
        outcome = await keys.revoke(info, input.key_id)
        return ApiKeyPayload(
            api_key=view(ApiKey, outcome.value) if outcome.value else None,
            user_errors=user_errors(outcome.errors),
        )
