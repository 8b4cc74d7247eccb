"""The names that clients were promised (promised.graphql) have in the schema the shape that they have there.

What is promised and not there yet is free to come later. Sizes and offsets, which can pass 2 GiB, are
BigInt where the promise says Int: both are whole numbers to a client.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, print_ast
from graphql.language import (
    EnumTypeDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
)

from scripts.printed_schema import printed_schema

WITH_FIELDS = (ObjectTypeDefinitionNode, InputObjectTypeDefinitionNode, InterfaceTypeDefinitionNode)


def definitions(text: str) -> dict[str, TypeDefinitionNode]:
    return {
        node.name.value: node
        for node in parse(text, no_location=True).definitions
        if isinstance(node, TypeDefinitionNode)
    }


PROMISED = definitions((Path(__file__).parent / "promised.graphql").read_text())
OURS = definitions(printed_schema())
BOTH = sorted(set(PROMISED) & set(OURS))


def test_the_promise_is_read() -> None:
    assert {"Query", "Mutation", "Sandbox", "Execution", "CreateSandboxInput"} <= set(BOTH)


@pytest.mark.parametrize("name", BOTH)
def test_a_promised_type_is_as_promised(name: str) -> None:
    promised, ours = PROMISED[name], OURS[name]
    assert type(promised) is type(ours)
    if isinstance(promised, EnumTypeDefinitionNode):
        later = names(promised.values or ()) - names(getattr(ours, "values", None) or ())
        assert later == set(), "remove no value; one that comes later is named in promised.graphql then"
    if isinstance(promised, WITH_FIELDS) and isinstance(ours, WITH_FIELDS):
        shapes = {field.name.value: shape(field) for field in ours.fields or ()}
        for field in promised.fields or ():
            if field.name.value in shapes:
                assert fits(shape(field), shapes[field.name.value]), field.name.value


def names(nodes: Sequence[Any]) -> set[str]:
    return {node.name.value for node in nodes}


def shape(field: Any) -> dict[str, str]:
    """A field's type, and its arguments with theirs and what they are without being given."""
    arguments = {
        argument.name.value: print_ast(argument.type) + default(argument)
        for argument in getattr(field, "arguments", None) or ()
    }
    return {"": print_ast(field.type) + default(field), **arguments}


def default(node: Any) -> str:
    value = getattr(node, "default_value", None)
    # To a client, null is the same as nothing.
    return "" if value is None or print_ast(value) == "null" else f" = {print_ast(value)}"


def fits(promised: dict[str, str], ours: dict[str, str]) -> bool:
    """Whether a field takes what was promised, and gives it."""
    return all(
        name in ours and ours[name].replace("BigInt", "Int") == expected
        for name, expected in promised.items()
    )
