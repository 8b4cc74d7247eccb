"""Writes schema/schema.graphql from the code; `--check` only compares.

A change that would break clients is refused unless what goes was deprecated in the file before, or
`--breaking` says that it is meant.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphql import REMOVE, Visitor, build_ast_schema, build_schema, parse, visit
from graphql.language import EnumValueDefinitionNode, FieldDefinitionNode, InputValueDefinitionNode
from graphql.utilities import find_breaking_changes

from schema.build import build_schema as build_product_schema

PRINTED = Path(__file__).resolve().parent.parent / "schema" / "schema.graphql"


def printed_schema() -> str:
    """The schema as it should be printed."""
    return build_product_schema().as_str().rstrip() + "\n"


def breaking_changes(before: str, after: str) -> Sequence[str]:
    """What clients of the schema `before` that use nothing deprecated would miss in `after`."""
    kept = build_ast_schema(visit(parse(before), _WithoutDeprecated()))
    return [change.description for change in find_breaking_changes(kept, build_schema(after))]


def main() -> int:
    """Write the file, or with `--check` say whether it is as it should be."""
    printed = printed_schema()
    before = PRINTED.read_text() if PRINTED.exists() else ""
    if before == printed:
        return 0
    if "--check" in sys.argv[1:]:
        print("schema/schema.graphql is not what the code says: run `make schema`.", file=sys.stderr)
        return 1
    breaking = breaking_changes(before, printed) if before else []
    if breaking and "--breaking" not in sys.argv[1:]:
        print("This would break clients:\n  " + "\n  ".join(breaking), file=sys.stderr)
        print(
            "Deprecate first and remove later; or, if it is meant: make schema OPTIONS=--breaking",
            file=sys.stderr,
        )
        return 1
    PRINTED.write_text(printed)
    return 0


class _WithoutDeprecated(Visitor):
    def enter_field_definition(self, node: FieldDefinitionNode, *_: Any) -> Any:
        return _removed_if_deprecated(node)

    def enter_enum_value_definition(self, node: EnumValueDefinitionNode, *_: Any) -> Any:
        return _removed_if_deprecated(node)

    def enter_input_value_definition(self, node: InputValueDefinitionNode, *_: Any) -> Any:
        return _removed_if_deprecated(node)


def _removed_if_deprecated(
    node: FieldDefinitionNode | EnumValueDefinitionNode | InputValueDefinitionNode,
) -> Any:
    deprecated = any(directive.name.value == "deprecated" for directive in node.directives or ())
    return REMOVE if deprecated else None


if __name__ == "__main__":
    sys.exit(main())
