"""What operations cost: each example of docs/limits.md costs as much as the page says."""

import re
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse

from schema.build import build_schema
from web.graphql.limits import Limits
from web.graphql.operation_cost import measure_operation

PAGE = (Path(__file__).parents[2] / "docs/limits.md").read_text()
EXAMPLES = re.findall(r"```graphql\n# (\d+)\n(.*?)```", PAGE, re.DOTALL)
SCHEMA = build_schema()._schema
SANDBOX = 'sandbox(id: "x")'


def points(text: str, **variables: object) -> int:
    """What the one operation of a document costs."""
    document = parse(text)
    [operation] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    return measure_operation(SCHEMA, document, operation, variables, Limits()).points


@pytest.mark.parametrize(("said", "example"), EXAMPLES)
def test_an_example_costs_what_the_page_says(said: str, example: str) -> None:
    assert points(example) == int(said)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(
    ("document", "variables", "cost"),
    [
        ("{ __typename }", {}, 1),
        ("{ sandboxes { nodes { id } } }", {}, 51),
        ("{ sandboxes { edges { node { id } } } }", {}, 101),
        ("{ sandboxes(first: 0) { nodes { id } } }", {}, 1),
        ("{ sandboxes(first: 100, last: 10) { nodes { id } } }", {}, 11),
        ("{ sandboxes { pageInfo { endCursor } } }", {}, 2),
        ("{ sandboxes(first: 10) { ...Page } } fragment Page on SandboxConnection { nodes { id } }", {}, 11),
        ("{ sandboxes(first: 10) { ... { nodes { id } } ... { nodes { name } } } }", {}, 21),
        ("query ($n: Int) { sandboxes(first: $n) { nodes { id } } }", {"n": 7}, 8),
        ("query ($n: Int = 9) { sandboxes(first: $n) { nodes { id } } }", {}, 10),
        ("query ($n: Int = 9) { sandboxes(first: $n) { nodes { id } } }", {"n": None}, 51),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a", "b", "c"]}, 3),
        ('{ nodes(ids: ["a", "b"]) { id ... on Sandbox { metrics { cpuUsedPct } } } }', {}, 22),
        (f"{{ {SANDBOX} {{ files(limit: 2000) {{ text }} }} }}", {}, 1 + 10 + 2000 * 11),
        (f"{{ {SANDBOX} {{ files {{ name }} }} }}", {}, 1 + 10 + 50),
        ("{ providers { name } }", {}, 20),
        ("{ a: viewer { name } b: viewer { name } }", {}, 2),
        ("{ __schema { types { name } } }", {}, 10),
    ],
)
def test_lists_count_what_is_asked_of_each_item(
    document: str, variables: dict[str, object], cost: int
) -> None:
    assert points(document, **variables) == cost
