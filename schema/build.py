"""Putting the schema together from its subjects."""

from collections.abc import Callable, Sequence
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from resolvers import nodes
from resolvers.context import Info
from schema.arguments import Id, Ids
from schema.events import EventQueries
from schema.execution_operations import ExecutionMutations, ExecutionQueries, ExecutionSubscriptions
from schema.file_operations import FileMutations, FileSubscriptions
from schema.health import HealthQueries
from schema.keys import KeyMutations
from schema.logs import LogSubscriptions
from schema.nodes import Node
from schema.projects import ProjectMutations, ProjectQueries
from schema.providers import ProviderQueries
from schema.sandbox_operations import SandboxMutations, SandboxQueries, SandboxSubscriptions
from schema.scalars import SCALARS
from schema.secrets import SecretMutations, SecretQueries
from schema.snapshots import SnapshotMutations, SnapshotQueries
from schema.views import view

QUERIES = (
    SandboxQueries,
    ExecutionQueries,
    ProjectQueries,
    ProviderQueries,
    HealthQueries,
    EventQueries,
    SnapshotQueries,
    SecretQueries,
)
MUTATIONS = (
    SandboxMutations,
    SnapshotMutations,
    ExecutionMutations,
    FileMutations,
    ProjectMutations,
    KeyMutations,
    SecretMutations,
)
SUBSCRIPTIONS = (LogSubscriptions, SandboxSubscriptions, ExecutionSubscriptions, FileSubscriptions)


class DuplicateFieldError(Exception):
    """Two subjects define a root field of the same name."""


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing: whoever carries the answer logs what it masks, with the caller's reference."""


def build_schema(
    extensions: Sequence[type[SchemaExtension] | Callable[[], SchemaExtension]] = (),
) -> strawberry.Schema:
    """The schema. `extensions` bound, validate or measure operations; the schema itself has none."""

    @strawberry.type
    class NodeQueries:
        @strawberry.field(description="Any object by its id; null where the project has no such one.")
        async def node(self, info: Info, id: Id) -> Node | None:
            return view(Node, await nodes.node(info, id))

        @strawberry.field(description="Objects by their ids, in that order; null for those not there.")
        async def nodes(self, info: Info, ids: Ids) -> list[Node | None]:
            return [view(Node, found) for found in await nodes.nodes(info, ids)]

    return _Schema(
        query=_merged("Query", "What there is, in the project of the key.", (NodeQueries, *QUERIES)),
        mutation=_merged(
            "Mutation", "What one can do. Errors that the caller can mend are `userErrors`.", MUTATIONS
        ),
        subscription=_merged("Subscription", "What comes while it happens.", SUBSCRIPTIONS),
        extensions=list(extensions),
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )


def _merged(name: str, description: str, types: tuple[type, ...]) -> Any:
    """One root type of several; a field that two define is refused, not overwritten."""
    seen: dict[str, type] = {}
    for each in types:
        for field in each.__strawberry_definition__.fields:  # type: ignore[attr-defined]
            if field.python_name in seen:
                raise DuplicateFieldError(
                    f"{name}.{field.python_name} is defined by {seen[field.python_name].__name__} and "
                    f"{each.__name__}."
                )
            seen[field.python_name] = each
    merged = merge_types(name, types)
    merged.__strawberry_definition__.description = description  # type: ignore[attr-defined]
    return merged
