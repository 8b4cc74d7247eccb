"""What one operation asks for: levels, fields, and the items of its pages taken together."""

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
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)
from graphql.language import ValueNode

from web.graphql.errors import RequestErrorCode
from web.graphql.limits import PAGE_ARGUMENTS, Limits, too_complex


def refuse_costly_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    limits: Limits,
) -> None:
    """Raise `GraphQLError` where an operation goes beyond a limit; the variables tell the sizes of pages."""
    _Survey(schema, document, operation, variables, limits).run()


@dataclass(slots=True)
class _Measure:
    """What a selection asks for once its fragments are written out: levels, fields, and pages' items."""

    depth: int = 0
    fields: int = 0
    nodes: int = 0


@dataclass(slots=True)
class _Survey:
    """Measures one operation. Each fragment is walked once, however often it is spread."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: Mapping[str, Any]
    limits: Limits
    fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    measured: dict[str, _Measure] = field(default_factory=dict)
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

    def run(self) -> None:
        """Raise where the operation goes beyond a limit."""
        limits = self.limits
        root = self.schema.get_root_type(self.operation.operation)
        measure = self.walk(self.operation.selection_set, root, 1)
        roots = self.root_fields(self.operation.selection_set, set())
        for count, limit, what in (
            (roots, limits.root_fields, "root fields"),
            (measure.depth, limits.depth, "levels of fields"),
            (measure.fields, limits.fields, "fields"),
            (measure.nodes, limits.nodes, "items on its pages taken together"),
        ):
            if count > limit:
                raise too_complex(
                    f"The operation has {count} {what}; at most {limit} are allowed. Ask for less at once.",
                    self.operation,
                )

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

    def walk(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, level: int) -> _Measure:
        """Measure a selection of fields of the type `parent`; None where the type is unknown."""
        if level > 4 * self.limits.depth:
            raise too_complex("Fragments are nested too deeply.", selection_set)
        total = _Measure()
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
            total.nodes += measure.nodes
        return total

    def walk_fragment(self, name: str, level: int) -> _Measure:
        """Measure a fragment; one within itself counts for nothing, as validation refuses it anyway."""
        known = self.measured.get(name)
        if known is not None:
            return known
        self.measured[name] = _Measure()
        fragment = self.fragments.get(name)
        if fragment is not None:
            parent = self.schema.get_type(fragment.type_condition.name.value)
            self.measured[name] = self.walk(fragment.selection_set, parent, level + 1)
        return self.measured[name]

    def walk_field(self, node: FieldNode, parent: GraphQLNamedType | None, level: int) -> _Measure:
        """Measure a field: itself, and what is below it as often as a page has items."""
        if node.selection_set is None or node.name.value in ("__schema", "__type"):
            # A rule of graphql-core's own bounds introspection, which is deep by nature.
            return _Measure(depth=1, fields=1)
        definition = _definition(self.schema, parent, node.name.value)
        below = self.walk(
            node.selection_set, get_named_type(definition.type) if definition else None, level + 1
        )
        size = self.page_size(node, definition)
        return _Measure(
            depth=below.depth + 1, fields=below.fields + 1, nodes=size + max(size, 1) * below.nodes
        )

    def page_size(self, node: FieldNode, definition: GraphQLField | None) -> int:
        """The size of the page that a field asks for; 0 where it is no list in pages."""
        asked = [
            self.page_argument(node, argument.name.value, argument.value)
            for argument in node.arguments or ()
            if argument.name.value in PAGE_ARGUMENTS
        ]
        sizes = [size for size in asked if size is not None]
        if sizes:
            return min(sizes)
        paged = definition is not None and any(name in definition.args for name in PAGE_ARGUMENTS)
        return self.limits.default_page_size if paged else 0

    def page_argument(self, node: FieldNode, name: str, value: ValueNode | None) -> int | None:
        """The value of `first` or `last`, refused where it is out of bounds; None where it isn't given."""
        if isinstance(value, VariableNode):
            variable = value.name.value
            if variable in self.variables:
                size = self.variables[variable]
                return self.checked(node, name, size) if isinstance(size, (int, float)) else None
            value = self.defaults.get(variable)
        return self.checked(node, name, int(value.value)) if isinstance(value, IntValueNode) else None

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
