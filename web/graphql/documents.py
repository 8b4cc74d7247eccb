"""Parsing, measuring and validating documents, once for each text.

Clients send the same few documents again and again; what was found out about one is kept, within bounds.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    recommended_rules,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from web.graphql.bills import Bill, current_bill
from web.graphql.document_limits import Measured, measure, uses_size_variables, value_excesses
from web.graphql.errors import RequestErrorCode
from web.graphql.limits import Limits

RULES = (*specified_rules, *recommended_rules, MaybeNullValidationRule, OneOfInputValidationRule)
MAXIMUM_ERRORS = 20
MAXIMUM_KEPT = 512
MAXIMUM_KEPT_CHARACTERS = 16_384


@dataclass(slots=True)
class Document:
    """A parsed document with what validation says about it."""

    node: DocumentNode
    measured: Measured
    measured_each_time: bool
    operations: int


class DocumentCache:
    """The documents used last, by their text: bounded in number and in the size of each."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document | None:
        """The document with this text, if it is kept."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
        return document

    def keep(self, text: str, document: Document) -> None:
        """Keep a document, and forget the one not used for longest."""
        if len(text) > MAXIMUM_KEPT_CHARACTERS:
            return
        self._documents[text] = document
        if len(self._documents) > MAXIMUM_KEPT:
            self._documents.popitem(last=False)


class BoundedDocuments(SchemaExtension):
    """Holds each operation to the limits, and keeps what parsing and validating its document found."""

    def __init__(self, limits: Limits, cache: DocumentCache, bill: Bill) -> None:
        self._limits = limits
        self._cache = cache
        self._bill = bill
        self._document: Document | None = None

    def on_operation(self) -> Iterator[None]:
        """Bound the parser."""
        bounds: dict[str, int] = {
            "max_lexical_tokens": self._limits.tokens,
            "max_comments": self._limits.tokens,
            "max_source_length": self._limits.source_characters,
        }
        self.execution_context.parse_options.update(bounds)  # type: ignore[typeddict-item]
        yield

    def on_parse(self) -> Iterator[None]:
        """Take the document from the cache where it is there."""
        text = self.execution_context.query
        self._document = self._cache.get(text) if text else None
        if self._document is not None:
            self.execution_context.graphql_document = self._document.node
        yield

    def on_validate(self) -> Iterator[None]:
        """Measure and validate, or take over what was found before; then take what the operation costs."""
        context = self.execution_context
        schema: GraphQLSchema = context.schema._schema
        node = context.graphql_document
        if node is not None and context.query is not None:
            document = self._document or self._examine(schema, context.query, node)
            variables = context.variables or {}
            measured = document.measured
            if document.measured_each_time and not measured.errors:
                measured = measure(schema, node, variables, self._limits)
            errors = measured.errors or value_excesses(variables, self._limits)
            # Strawberry would run the first operation; the specification refuses to choose.
            if document.operations > 1 and context._provided_operation_name is None:
                errors = [GraphQLError("The document has several operations; name one in `operationName`.")]
            self._bill.requested = measured.points.get(context.operation_name)
            self._bill.settle(is_faulty=bool(errors))
            context.pre_execution_errors = self._bill.errors() or errors
        yield

    def _examine(self, schema: GraphQLSchema, text: str, node: DocumentNode) -> Document:
        measured_each_time = uses_size_variables(node)
        # Measured first: some rules of validation are slow on documents made to be slow.
        measured = measure(schema, node, {}, self._limits)
        if not measured.errors:
            measured.errors = _validation_errors(schema, node)
        operations = sum(isinstance(definition, OperationDefinitionNode) for definition in node.definitions)
        document = Document(node, measured, measured_each_time, operations)
        self._cache.keep(text, document)
        return document


def bounded_documents(limits: Limits) -> Callable[[], SchemaExtension]:
    """The extension that a schema needs; one cache for one schema. It takes part in `current_bill`."""
    cache = DocumentCache()
    return lambda: BoundedDocuments(limits, cache, current_bill.get())


def _validation_errors(schema: GraphQLSchema, node: DocumentNode) -> list[GraphQLError]:
    try:
        return validate(schema, node, RULES, max_errors=MAXIMUM_ERRORS, hide_suggestions=True)
    except RecursionError:
        return [
            GraphQLError(
                "The document is nested too deeply.", extensions={"code": RequestErrorCode.TOO_COMPLEX}
            )
        ]
