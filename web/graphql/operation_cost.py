"""What one operation asks for, told before anything runs: levels, fields, and points.

A point is about the work of showing one object. Plain values cost nothing, an object 1, a list what is asked
of an item times `first`, `last`, `limit` or the number of `ids`. A mutation or subscription costs 10. A field
whose work is of another size says so in its definition's `metadata`, as `points`. See `docs/limits.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_interface_type,
    is_object_type,
)
from graphql.language import ValueNode

from web.graphql.errors import RequestErrorCode
from web.graphql.limits import PAGE_ARGUMENTS, SIZE_ARGUMENTS, Limits, too_complex

ACTION_POINTS = 10
INTROSPECTION_POINTS = 10
# The items of a list that tells nothing about its length.
ASSUMED_ITEMS = 10


@dataclass(slots=True)
class Measure:
    """What a selection asks for once its fragments are written out.

    `item_points` are those of one item of each list whose length the field above tells, as a connection does
    for its `nodes`.
    """

    depth: int = 0
    fields: int = 0
    points: int = 0
    item_points: int = 0
    root_fields: int = 0

    def points_with(self, items: int) -> int:
        """All points where those lists have so many items."""
        return self.points + items * self.item_points


def measure_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    limits: Limits,
) -> Measure:
    """What an operation asks for; the variables tell the lengths of lists.

    `GraphQLError` where it cannot be measured, as a page is out of bounds or fragments are nested too deeply.
    """
    return _Survey(schema, document, operation, variables, limits).run()


def require_modest(operation: OperationDefinitionNode, measure: Measure, limits: Limits) -> None:
    """Raise `GraphQLError` where an operation goes beyond a limit."""
    for count, limit, what in (
        (measure.root_fields, limits.root_fields, "root fields"),
        (measure.depth, limits.depth, "levels of fields"),
        (measure.fields, limits.fields, "fields"),
    ):
        if count > limit:
            raise too_complex(
                f"The operation has {count} {what}; at most {limit} are allowed. Ask for less at once.",
                operation,
            )
    if measure.points > limits.points:
        raise too_complex(
            f"The operation costs {measure.points} points; at most {limits.points} are allowed. "
            "Ask for smaller pages, or for less of each item.",
            operation,
        )


@dataclass(slots=True)
class _Survey:
    """Measures one operation. Each fragment is walked once, however often it is spread."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: Mapping[str, Any]
    limits: Limits
    fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    measured: dict[str, Measure] = field(default_factory=dict)
    defaults: dict[str, ValueNode] = field(init=False)

    def __post_init__(self) -> None:
        self.fragments = {
            node.name.value: node
            for node in self.document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.defaults = {
            node.variable.name.value: node.default_value
            for node in self.operation.variable_definitions or ()
            if node.default_value is not None
        }

    def run(self) -> Measure:
        """Measure the whole operation."""
        root = self.schema.get_root_type(self.operation.operation)
        measure = self.walk(self.operation.selection_set, root, 1)
        measure.points = max(1, measure.points_with(ASSUMED_ITEMS))
        measure.root_fields = self.root_fields(self.operation.selection_set, set())
        return measure

    def root_fields(self, selection_set: SelectionSetNode, seen: set[str]) -> int:
        """The number of fields that the operation asks of its root type."""
        count = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                count += 1
            elif isinstance(selection, InlineFragmentNode):
                count += self.root_fields(selection.selection_set, seen)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
                seen.add(selection.name.value)
                if fragment := self.fragments.get(selection.name.value):
                    count += self.root_fields(fragment.selection_set, seen)
        return count

    def walk(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, level: int) -> Measure:
        """Measure a selection of fields of the type `parent`; None where the type is unknown."""
        if level > 4 * self.limits.depth:
            raise too_complex("Fragments are nested too deeply.", selection_set)
        total = Measure()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                measure = self.walk_field(selection, parent, level)
            elif isinstance(selection, FragmentSpreadNode):
                measure = self.walk_fragment(selection.name.value, level)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self.schema.get_type(condition.name.value) if condition else parent
                measure = self.walk(selection.selection_set, inner, level + 1)
            total.depth = max(total.depth, measure.depth)
            total.fields += measure.fields
            total.points += measure.points
            total.item_points += measure.item_points
        return total

    def walk_fragment(self, name: str, level: int) -> Measure:
        """Measure a fragment; one within itself counts for nothing, as validation refuses it anyway."""
        known = self.measured.get(name)
        if known is not None:
            return known
        self.measured[name] = Measure()
        fragment = self.fragments.get(name)
        if fragment is not None:
            parent = self.schema.get_type(fragment.type_condition.name.value)
            self.measured[name] = self.walk(fragment.selection_set, parent, level + 1)
        return self.measured[name]

    def walk_field(self, node: FieldNode, parent: GraphQLNamedType | None, level: int) -> Measure:
        """Measure a field: itself, and what is below it as often as a list has items."""
        definition = _definition(self.schema, parent, node.name.value)
        own = self.own_points(definition, level)
        if node.selection_set is None:
            return Measure(depth=1, fields=1, points=own or 0)
        if node.name.value in ("__schema", "__type"):
            # A rule of graphql-core's own bounds introspection, which is deep by nature.
            return Measure(depth=1, fields=1, points=INTROSPECTION_POINTS)
        below = self.walk(
            node.selection_set, get_named_type(definition.type) if definition else None, level + 1
        )
        measure = Measure(depth=below.depth + 1, fields=below.fields + 1)
        items = self.items(node, definition)
        if definition is None or not isinstance(get_nullable_type(definition.type), GraphQLList):
            measure.points = (1 if own is None else own) + below.points_with(
                ASSUMED_ITEMS if items is None else items
            )
            return measure
        item_points = 1 + below.points_with(ASSUMED_ITEMS)
        measure.points = own or 0
        if items is None:
            measure.item_points = item_points
        else:
            measure.points += items * item_points
        return measure

    def own_points(self, definition: GraphQLField | None, level: int) -> int | None:
        """What a field costs without what is below it; None where it is as usual for its type."""
        stated = _metadata(definition).get("points")
        if stated is None and level == 1 and self.operation.operation is not OperationType.QUERY:
            return ACTION_POINTS
        return stated

    def items(self, node: FieldNode, definition: GraphQLField | None) -> int | None:
        """How long the list of a field may be, or the one that it holds; None where it does not tell."""
        asked = [
            self.size_argument(node, argument.name.value, argument.value)
            for argument in node.arguments or ()
            if argument.name.value in SIZE_ARGUMENTS
        ]
        sizes = [size for size in asked if size is not None]
        if sizes:
            return min(sizes)
        sized = definition is not None and any(name in definition.args for name in SIZE_ARGUMENTS)
        return self.limits.default_page_size if sized else None

    def size_argument(self, node: FieldNode, name: str, value: ValueNode | None) -> int | None:
        """How long an argument says that the list is; None where it isn't given."""
        if isinstance(value, VariableNode):
            variable = value.name.value
            if variable in self.variables:
                return self.size(node, name, self.variables[variable])
            value = self.defaults.get(variable)
        if isinstance(value, ListValueNode):
            return len(value.values)
        return self.size(node, name, int(value.value)) if isinstance(value, IntValueNode) else None

    def size(self, node: FieldNode, name: str, value: object) -> int | None:
        """The length that a value says; that of a page must be within its bounds."""
        if isinstance(value, list):
            return len(value)
        if not isinstance(value, (int, float)):
            return None
        return self.checked(node, name, value) if name in PAGE_ARGUMENTS else max(0, int(value))

    def checked(self, node: FieldNode, name: str, size: float) -> int:
        """A page's size within its bounds."""
        if 0 <= size <= self.limits.page_size:
            return int(size)
        raise GraphQLError(
            f"`{name}` of `{node.name.value}` is {size}; it must be from 0 to {self.limits.page_size}. "
            "Use `after` to get the next page.",
            nodes=node,
            extensions={"code": RequestErrorCode.BAD_REQUEST},
        )


def _definition(schema: GraphQLSchema, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    if parent is None or not (is_object_type(parent) or is_interface_type(parent)):
        return None
    return schema.get_field(parent, name)


def _metadata(definition: GraphQLField | None) -> Mapping[Any, Any]:
    field_definition = definition.extensions.get("strawberry-definition") if definition else None
    return field_definition.metadata if field_definition is not None else {}
