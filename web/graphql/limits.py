"""The most that one request may ask for."""

from dataclasses import dataclass

from graphql import GraphQLError, Node

from commandcenter.pages import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from commandcenter.rates.allowances import MOST_OPERATION_POINTS
from web.graphql.errors import RequestErrorCode

PAGE_ARGUMENTS = ("first", "last")
# What tells how long a list may be: two numbers of a page, a number of entries, or what is asked for by name.
SIZE_ARGUMENTS = (*PAGE_ARGUMENTS, "limit", "ids")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document, of one operation in it, and of one page.

    `fields` counts each fragment as often as it is spread, `points` what the operation costs: see
    `operation_cost`.
    """

    source_characters: int = 100_000
    tokens: int = 4_000
    aliases: int = 50
    directives: int = 50
    value_depth: int = 32
    root_fields: int = 20
    depth: int = 15
    fields: int = 1_000
    points: int = MOST_OPERATION_POINTS
    page_size: int = LARGEST_PAGE_SIZE
    default_page_size: int = DEFAULT_PAGE_SIZE


def too_complex(message: str, node: Node | None = None) -> GraphQLError:
    """The error of a request that goes beyond a bound; `message` says which, and what to do."""
    return GraphQLError(message, nodes=node, extensions={"code": RequestErrorCode.TOO_COMPLEX})
