"""Operations for every root field, generated from the schema: with ids of whatever an argument means.

A field or argument that this does not know makes the tests fail until it is taught: so that nothing new
goes untested.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    Undefined,
    get_named_type,
    is_leaf_type,
)

from schema.build import build_schema

SCHEMA = build_schema()._schema
DEEPEST = 2

# What an argument of the type ID means, by its name; `id` and `ids` mean what the field is called.
SUBJECTS = {
    "sandboxId": "Sandbox",
    "sandboxIds": "Sandbox",
    "executionId": "Execution",
    "terminalId": "Execution",
    "keyId": "ApiKey",
    "snapshotId": "Snapshot",
    "ids": "Sandbox",
}
SUBJECTS_OF_FIELDS = {
    "sandbox": "Sandbox",
    "execution": "Execution",
    "snapshot": "Snapshot",
    "node": "Sandbox",
}
# Values that make a request valid, where any value of the type would not.
VALUES: dict[str, Any] = {
    "ttlSeconds": 60,
    "command": "true",
    "text": "x",
    "columns": 80,
    "rows": 24,
    "value": "at least 8 bytes",
}
PLAIN: dict[str, Any] = {
    "String": "x",
    "Int": 1,
    "Boolean": False,
    "DateTime": "2099-01-01T00:00:00Z",
    "JSON": {},
}


class UnknownArgumentError(AssertionError):
    """The generator does not know what an argument means; teach it in this file."""


@dataclass(frozen=True)
class Operation:
    """One root field, with the types of the ids that it takes."""

    kind: str
    name: str
    field: GraphQLField

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def takes_ids(self) -> bool:
        return any(takes_ids(argument) for argument in self.field.args.values())

    @property
    def document(self) -> str:
        """The operation with a variable for each argument that is needed or takes ids."""
        arguments = {name: argument for name, argument in self.field.args.items() if _is_needed(argument)}
        variables = ", ".join(f"${name}: {argument.type}" for name, argument in arguments.items())
        pages = ["first: 10"] if "first" in self.field.args else []
        passed = ", ".join([*(f"{name}: ${name}" for name in arguments), *pages])
        head = f"({variables})" if variables else ""
        call = f"({passed})" if passed else ""
        return f"{self.kind} {head} {{ {self.name}{call} {selection(self.field.type)} }}"

    def variables(self, ids: Mapping[str, str]) -> dict[str, Any]:
        """Values for the variables, with ids by the name of their type."""
        return {
            name: _value(name, argument, ids, self.name)
            for name, argument in self.field.args.items()
            if _is_needed(argument)
        }


def operations(*kinds: str) -> Iterator[Operation]:
    """Every root field of the schema, of some kinds."""
    roots = {
        "query": SCHEMA.query_type,
        "mutation": SCHEMA.mutation_type,
        "subscription": SCHEMA.subscription_type,
    }
    for kind in kinds:
        root = roots[kind]
        assert root is not None
        for name, field in root.fields.items():
            yield Operation(kind, name, field)


def fields_with_ids() -> Iterator[tuple[str, str]]:
    """Every field below the root that takes an id."""
    roots = {SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type}
    for graphql_type in SCHEMA.type_map.values():
        if isinstance(graphql_type, GraphQLObjectType) and graphql_type not in roots:
            for name, field in graphql_type.fields.items():
                if any(takes_ids(argument) for argument in field.args.values()):
                    yield graphql_type.name, name


def selection(output: GraphQLOutputType, depth: int = 0) -> str:
    """Every field that needs no argument, as deep as is useful."""
    named = get_named_type(output)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, (GraphQLObjectType, GraphQLInterfaceType))
    parts = ["__typename"]
    for name, field in named.fields.items():
        if any(_is_required(argument) for argument in field.args.values()):
            continue
        if is_leaf_type(get_named_type(field.type)):
            parts.append(name)
        elif depth < DEEPEST:
            page = "(first: 10)" if "first" in field.args else ""
            parts.append(f"{name}{page} {selection(field.type, depth + 1)}")
    return "{ " + " ".join(parts) + " }"


def takes_ids(argument: GraphQLArgument | GraphQLInputField) -> bool:
    """Whether an argument is an id, or holds one."""
    named = get_named_type(argument.type)
    if isinstance(named, GraphQLInputObjectType):
        return any(takes_ids(field) for field in named.fields.values())
    return named.name == "ID"


def _is_required(argument: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined


def _is_needed(argument: GraphQLArgument | GraphQLInputField) -> bool:
    return _is_required(argument) or takes_ids(argument)


def _value(
    name: str, argument: GraphQLArgument | GraphQLInputField, ids: Mapping[str, str], field: str
) -> Any:
    inner: GraphQLInputType = argument.type
    if isinstance(inner, GraphQLNonNull):
        inner = inner.of_type
    if isinstance(inner, GraphQLList):
        return [_plain_value(name, get_named_type(inner), ids, field)]
    return _plain_value(name, get_named_type(inner), ids, field)


def _plain_value(name: str, named: GraphQLNamedType, ids: Mapping[str, str], field: str) -> Any:
    if isinstance(named, GraphQLInputObjectType):
        needed = {key: each for key, each in named.fields.items() if _is_needed(each) or key in VALUES}
        return {key: _value(key, each, ids, field) for key, each in needed.items()}
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    assert isinstance(named, GraphQLScalarType)
    if named.name == "ID":
        subject = SUBJECTS.get(name) or (SUBJECTS_OF_FIELDS.get(field) if name == "id" else None)
        if subject is None:
            raise UnknownArgumentError(f"{field}({name}: ID): which type's id is it?")
        return ids[subject]
    if name in VALUES:
        return VALUES[name]
    if named.name not in PLAIN:
        raise UnknownArgumentError(f"{field}({name}: {named.name}): which value is valid?")
    return PLAIN[named.name]
