"""Writes schema/schema.graphql from the code; `--check` only compares."""

import sys
from pathlib import Path

from schema.build import build_schema

FILE = Path(__file__).resolve().parent.parent / "schema" / "schema.graphql"


def printed_schema() -> str:
    """The schema as the code has it, in GraphQL's own language."""
    return build_schema().as_str().rstrip() + "\n"


def main() -> int:
    """Write the file, or with `--check` say whether it is as it should be."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(printed_schema())
        return 0
    if FILE.exists() and FILE.read_text() == printed_schema():
        return 0
    print("schema/schema.graphql is not what the code says: run `make schema`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
