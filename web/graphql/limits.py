"""How much one request may ask for: measured on the document, before anything runs."""

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
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)
from graphql.language import DirectiveNode, ValueNode

from commandcenter.pages import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from web.graphql.errors import RequestErrorCode

PAGE_ARGUMENTS = ("first", "last")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may ask for."""

    source_characters: int = 100_000
    tokens: int = 4_000
    depth: int = 15
    aliases: int = 50
    root_fields: int = 20
    fields: int = 1_000
    directives: int = 50
    value_depth: int = 32
    page_size: int = LARGEST_PAGE_SIZE
    default_page_size: int = DEFAULT_PAGE_SIZE
    nodes: int = 20_000


@dataclass(slots=True)
class _Measure:
    """What a selection asks for once its fragments are written out: levels, fields, and pages' items."""

    depth: int = 0
    fields: int = 0
    nodes: int = 0


def excesses(
    schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any], limits: Limits
) -> list[GraphQLError]:
    """What in the document goes beyond the limits; the variables tell the sizes of pages."""
    try:
        _count_syntax(document, limits)
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                _Survey(schema, document, operation, variables, limits).run()
    except GraphQLError as excess:
        return [excess]
    return []


def uses_page_variables(document: DocumentNode) -> bool:
    """Whether a page's size is a variable, so that the document alone doesn't tell what it asks for."""
    pending: list[Node] = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, FieldNode) and any(
            argument.name.value in PAGE_ARGUMENTS and isinstance(argument.value, VariableNode)
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
        raise _too_complex(f"The document has {aliases} aliases; at most {limits.aliases} are allowed.")
    if directives > limits.directives:
        raise _too_complex(
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
                raise _too_complex(
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
            raise _too_complex("Fragments are nested too deeply.", selection_set)
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
                return self.checked(node, name, size) if isinstance(size, int) else None
            value = self.defaults.get(variable)
        return self.checked(node, name, int(value.value)) if isinstance(value, IntValueNode) else None

    def checked(self, node: FieldNode, name: str, size: int) -> int:
        """A page's size within its bounds."""
        if 0 <= size <= self.limits.page_size:
            return size
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


def _too_complex(message: str, node: Node | None = None) -> GraphQLError:
    return GraphQLError(message, nodes=node, extensions={"code": RequestErrorCode.TOO_COMPLEX})


def _value_too_deep(limits: Limits, node: Node | None = None) -> GraphQLError:
    return _too_complex(f"A value is nested more than {limits.value_depth} levels deep.", node)
