"""Holding a document to the limits, before it is validated and before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    VariableNode,
)
from graphql.language import DirectiveNode

from web.graphql.limits import SIZE_ARGUMENTS, Limits, too_complex
from web.graphql.operation_cost import measure_operation, require_modest


@dataclass(slots=True)
class Measured:
    """What a document's operations cost, by name, in points; and what in the document is too much."""

    points: dict[str | None, int] = field(default_factory=dict)
    errors: list[GraphQLError] = field(default_factory=list)


def measure(
    schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any], limits: Limits
) -> Measured:
    """Measure a document against the limits; the variables tell the lengths of lists."""
    measured = Measured()
    try:
        _count_syntax(document, limits)
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                found = measure_operation(schema, document, operation, variables, limits)
                measured.points[operation.name.value if operation.name else None] = found.points
                require_modest(operation, found, limits)
    except GraphQLError as excess:
        measured.errors.append(excess)
    return measured


def uses_size_variables(document: DocumentNode) -> bool:
    """Whether a list's length is a variable, so that the document alone doesn't tell what it asks for."""
    pending: list[Node] = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, FieldNode) and any(
            argument.name.value in SIZE_ARGUMENTS and isinstance(argument.value, VariableNode)
            for argument in node.arguments or ()
        ):
            return True
        pending.extend(_children(node))
    return False


def value_excesses(variables: Mapping[str, Any], limits: Limits) -> list[GraphQLError]:
    """What in the values of variables is nested too deeply."""
    pending: list[tuple[object, int]] = [(value, 0) for value in variables.values()]
    while pending:
        value, depth = pending.pop()
        if depth > limits.value_depth:
            return [_value_too_deep(limits)]
        if isinstance(value, dict):
            pending.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            pending.extend((item, depth + 1) for item in value)
    return []


def _count_syntax(document: DocumentNode, limits: Limits) -> None:
    aliases = directives = 0
    pending: list[tuple[Node, int]] = [(document, 0)]
    while pending:
        node, value_depth = pending.pop()
        if isinstance(node, (ListValueNode, ObjectValueNode)):
            value_depth += 1
        elif isinstance(node, FieldNode):
            aliases += node.alias is not None
        elif isinstance(node, DirectiveNode):
            directives += 1
        if value_depth > limits.value_depth:
            raise _value_too_deep(limits, node)
        pending.extend((child, value_depth) for child in _children(node))
    if aliases > limits.aliases:
        raise too_complex(f"The document has {aliases} aliases; at most {limits.aliases} are allowed.")
    if directives > limits.directives:
        raise too_complex(
            f"The document has {directives} directives; at most {limits.directives} are allowed."
        )


def _children(node: Node) -> list[Node]:
    children: list[Node] = []
    for key in node.keys:
        value = getattr(node, key, None)
        if isinstance(value, Node):
            children.append(value)
        elif isinstance(value, (list, tuple)):
            children.extend(item for item in value if isinstance(item, Node))
    return children


def _value_too_deep(limits: Limits, node: Node | None = None) -> GraphQLError:
    return too_complex(f"A value is nested more than {limits.value_depth} levels deep.", node)
