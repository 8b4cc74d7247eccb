"""Clients keep working: nothing is taken from the schema that was not deprecated before.

What a change is measured against is the file schema/schema.graphql where this branch left `main`, or on
`main` itself at the commit before. So a removal takes two merges: one that deprecates, one that removes.
"""

import re
import subprocess
from pathlib import Path

import pytest
from graphql import (
    BreakingChange,
    BreakingChangeType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
)

from scripts.print_schema import FILE, printed_schema

WITH_FIELDS = (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)
VALUE_REMOVED = BreakingChangeType.VALUE_REMOVED_FROM_ENUM
SUBJECT = re.compile(r"\w+\.\w+(\(\w+:\))?")
REPOSITORY = Path(__file__).parents[2]


def test_nothing_is_removed_that_was_not_deprecated_before() -> None:
    before = build_schema(schema_before())
    assert undeprecated_changes(before, build_schema(printed_schema())) == []


OLD = """
    type Query {
        plain(size: Int): Int old: Int @deprecated(reason: "Use plain.") kind: Kind thing(given: Given): Int
    }
    enum Kind { NEW OLD @deprecated(reason: "Use NEW.") }
    input Given { one: Int two: Int @deprecated(reason: "Use one.") }
"""


@pytest.mark.parametrize(
    ("new", "broken"),
    [
        (OLD, []),
        (OLD.replace("plain(size: Int): Int", "plain(size: Int, more: Int): Int more: Int"), []),
        (OLD.replace('old: Int @deprecated(reason: "Use plain.")', ""), []),
        (OLD.replace('OLD @deprecated(reason: "Use NEW.")', ""), []),
        (OLD.replace('two: Int @deprecated(reason: "Use one.")', ""), []),
        (OLD.replace("plain(size: Int): Int", ""), ["Query.plain"]),
        (OLD.replace("(size: Int)", ""), ["Query.plain(size:)"]),
        (OLD.replace("enum Kind { NEW", "enum Kind {"), ["Kind.NEW"]),
        (OLD.replace("one: Int", ""), ["Given.one"]),
        (OLD.replace("plain(size: Int): Int", "plain(size: Int): String"), ["Query.plain"]),
        (OLD.replace("size: Int", "size: Int!"), ["Query.plain(size:)"]),
    ],
)
def test_a_breaking_change_is_recognised(new: str, broken: list[str]) -> None:
    changes = undeprecated_changes(build_schema(OLD), build_schema(new))
    assert [subject(change) for change in changes] == broken


def undeprecated_changes(before: GraphQLSchema, after: GraphQLSchema) -> list[BreakingChange]:
    """The changes from one schema to the next that break clients without a warning."""
    return [change for change in find_breaking_changes(before, after) if not was_deprecated(before, change)]


def was_deprecated(before: GraphQLSchema, change: BreakingChange) -> bool:
    """Whether what a change removes was marked as deprecated."""
    type_name, _, member = subject(change).partition(".")
    graphql_type = before.type_map.get(type_name)
    if change.type is BreakingChangeType.VALUE_REMOVED_FROM_ENUM and isinstance(
        graphql_type, GraphQLEnumType
    ):
        return bool(graphql_type.values[member].deprecation_reason)
    if change.type is BreakingChangeType.FIELD_REMOVED and isinstance(graphql_type, WITH_FIELDS):
        return bool(graphql_type.fields[member].deprecation_reason)
    return False


def subject(change: BreakingChange) -> str:
    """What is changed: `Type.field`, `Type.field(argument:)`, or the whole description."""
    found = SUBJECT.search(change.description)
    return found[0] if found else change.description


def schema_before() -> str:
    """The file as it was before the changes that are looked at."""
    base = git("merge-base", "HEAD", "main")
    if base is None or base == git("rev-parse", "HEAD"):
        base = git("rev-parse", "HEAD^")
    before = git("show", f"{base}:{FILE.relative_to(REPOSITORY)}") if base else None
    if before is None:
        pytest.skip("no earlier schema: the first one, or no history")
    return before


def git(*arguments: str) -> str | None:
    """What git answers, or None where it cannot."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
