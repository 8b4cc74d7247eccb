"""schema/schema.graphql."""

from scripts.printed_schema import PRINTED, breaking_changes, printed_schema

BEFORE = """
type Query {
  count: Int
  kept: Int
  old: Int @deprecated(reason: "Use kept.")
  find(name: String, label: String @deprecated(reason: "Use name.")): Color
}

enum Color { RED, GREEN @deprecated(reason: "Use RED.") }
"""


def test_the_printed_schema_is_what_the_code_says() -> None:
    assert PRINTED.read_text() == printed_schema(), "run `make schema`"


def test_what_was_deprecated_may_go() -> None:
    after = "type Query { count: Int, kept: Int, find(name: String): Color } enum Color { RED }"
    assert breaking_changes(BEFORE, after) == []


def test_what_was_not_deprecated_may_not_go_nor_change_its_type() -> None:
    after = "type Query { count: Int, kept: String, find: Color } enum Color { GREEN }"
    assert sorted(breaking_changes(BEFORE, after)) == [
        "Argument Query.find(name:) was removed.",
        "Enum value Color.RED was removed.",
        "Field Query.kept changed type from Int to String.",
    ]
