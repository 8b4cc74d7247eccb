"""The most that one request may ask for."""

from dataclasses import dataclass

from graphql import GraphQLError, Node

from commandcenter.pages import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from web.graphql.errors import RequestErrorCode

PAGE_ARGUMENTS = ("first", "last")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document, of one operation in it, and of one page.

    `fields` counts each fragment as often as it is spread, `nodes` the items of all pages, those of pages
    within pages multiplied.
    """

    source_characters: int = 100_000
    tokens: int = 4_000
    aliases: int = 50
    directives: int = 50
    value_depth: int = 32
    root_fields: int = 20
    depth: int = 15
    fields: int = 1_000
    nodes: int = 20_000
    page_size: int = LARGEST_PAGE_SIZE
    default_page_size: int = DEFAULT_PAGE_SIZE


def too_complex(message: str, node: Node | None = None) -> GraphQLError:
    """The error of a request that goes beyond a bound; `message` says which, and what to do."""
    return GraphQLError(message, nodes=node, extensions={"code": RequestErrorCode.TOO_COMPLEX})
