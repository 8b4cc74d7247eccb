"""Secrets of projects: their values go in and never come out."""

from datetime import datetime
from typing import Any

import strawberry

from commandcenter.secrets.records import Secret as SecretRecord
from resolvers import secrets
from resolvers.context import Info
from resolvers.outcomes import Outcome
from schema.arguments import After, First, Input
from schema.errors import UserError, user_errors
from schema.nodes import Connection, Node
from schema.views import view


@strawberry.type(description="A secret of the project; never its value.")
class Secret(Node):
    id: strawberry.ID = strawberry.field(
        resolver=secrets.secret_id, description="Opaque and globally unique."
    )
    name: str = strawberry.field(description="The environment variable that it becomes.")
    created_by: str = strawberry.field(description="Who made it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it got the value that it has.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last given to a sandbox or command, to the minute."
    )

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether a record is shown as this type."""
        return isinstance(value, (cls, SecretRecord))


@strawberry.input(description="A secret of the key's project.")
class SetSecretInput:
    name: str = strawberry.field(
        description="The environment variable that it becomes: letters, digits and underscores, not "
        "beginning with a digit."
    )
    value: str = strawberry.field(
        description="Its value, 8 bytes to 64 KiB without NUL. It is stored encrypted and never shown."
    )


@strawberry.input(description="Which secret to remove.")
class DeleteSecretInput:
    name: str = strawberry.field(description="The secret's name.")


@strawberry.type(description="What came of setting a secret.")
class SecretPayload:
    secret: Secret | None = strawberry.field(description="The secret; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of removing a secret.")
class DeleteSecretPayload:
    secret: Secret | None = strawberry.field(description="What was there; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _secret(outcome: Outcome[SecretRecord]) -> Secret | None:
    return view(Secret, outcome.value) if outcome.value else None


@strawberry.type
class SecretQueries:
    @strawberry.field(description="The project's secrets by name, the newest first; never their values.")
    async def secrets(self, info: Info, first: First = None, after: After = None) -> Connection[Secret]:
        return view(Connection[Secret], await secrets.secret_page(info, first, after))


@strawberry.type
class SecretMutations:
    @strawberry.mutation(
        description="Make a secret, or give it another value: commands that are given it from now on get the "
        "new one. For administrators."
    )
    async def set_secret(self, info: Info, input: Input[SetSecretInput]) -> SecretPayload:
        outcome = await secrets.set_value(info, input.name, input.value)
        return SecretPayload(secret=_secret(outcome), user_errors=user_errors(outcome.errors))

    @strawberry.mutation(
        description="Remove a secret. Sandboxes that were made with it keep it. For administrators."
    )
    async def delete_secret(self, info: Info, input: Input[DeleteSecretInput]) -> DeleteSecretPayload:
        outcome = await secrets.delete(info, input.name)
        return DeleteSecretPayload(secret=_secret(outcome), user_errors=user_errors(outcome.errors))
