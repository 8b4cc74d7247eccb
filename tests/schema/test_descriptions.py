"""Every part of the schema is described."""

from collections.abc import Iterator

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from schema.build import build_schema

SCHEMA = build_schema()._schema


def test_every_part_is_described() -> None:
    assert [name for name, description in parts() if not (description or "").strip()] == []


def parts() -> Iterator[tuple[str, str | None]]:
    """Everything of ours that a description is shown of, by its place."""
    roots = {SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type}
    for name, graphql_type in SCHEMA.type_map.items():
        if name.startswith("__"):
            continue
        if graphql_type not in roots:
            yield name, graphql_type.description
        if isinstance(graphql_type, GraphQLEnumType):
            for value_name, value in graphql_type.values.items():
                yield f"{name}.{value_name}", value.description
        elif isinstance(graphql_type, GraphQLInputObjectType):
            for field_name, input_field in graphql_type.fields.items():
                yield f"{name}.{field_name}", input_field.description
        elif isinstance(graphql_type, (GraphQLObjectType, GraphQLInterfaceType)):
            for field_name, field in graphql_type.fields.items():
                yield f"{name}.{field_name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{name}.{field_name}({argument_name})", argument.description
