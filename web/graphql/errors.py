"""What callers are told when something goes wrong: errors of theirs in full, errors of ours masked.

A masked error carries a reference; the log line with the same reference has the whole traceback.
"""

import re
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult

from commandcenter.errors import DomainError

_log = structlog.get_logger(__name__)

Payload = dict[str, Any]

# What graphql-core repeats of a refused value; it may be a secret.
_REPEATED_VALUE = re.compile(r"(?P<what> cannot represent [\w -]*value): .*$|,? [Ff]ound: .*$", re.DOTALL)
_SUGGESTION = re.compile(r" Did you mean .*\?$", re.DOTALL)
_PARSER_BOUND = "Parsing aborted."


class RequestErrorCode(StrEnum):
    """`extensions.code` of errors that stop a whole request, beside the codes of domain errors."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_REQUEST = "BAD_REQUEST"
    TOO_COMPLEX = "TOO_COMPLEX"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL = "INTERNAL"


def error_payload(code: RequestErrorCode, message: str, **extensions: object) -> Payload:
    """One error in the response format of GraphQL."""
    return {"message": message, "extensions": {"code": code, **extensions}}


def domain_error(error: DomainError) -> Payload:
    """A domain error in the response format of GraphQL."""
    extensions: Payload = {"code": error.code.value}
    if error.field:
        extensions["field"] = list(error.field)
    return {"message": error.message, "extensions": extensions}


def internal_error(error: BaseException, **log_fields: object) -> Payload:
    """The masked form of a failure of ours; logs the failure under the reference that the caller gets."""
    reference = secrets.token_hex(8)
    _log.error(
        "graphql.internal_error",
        reference=reference,
        exc_info=(type(error), error, error.__traceback__),
        **log_fields,
    )
    return error_payload(
        RequestErrorCode.INTERNAL,
        f"Something went wrong on our side; it is not your request's fault. Reference: {reference}",
        reference=reference,
    )


def present_result(result: ExecutionResult) -> Payload:
    """A result in the response format of GraphQL, its errors masked where they are ours."""
    payload: Payload = {"data": result.data}
    if result.errors:
        payload["errors"] = present_errors(result.errors)
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def present_errors(errors: Sequence[GraphQLError]) -> list[Payload]:
    """Errors in the response format of GraphQL, masked where they are ours."""
    return [_present_error(error) for error in errors]


def _present_error(error: GraphQLError) -> Payload:
    cause = _cause(error)
    if isinstance(cause, DomainError):
        return _located(error, domain_error(cause))
    if error.extensions and "code" in error.extensions:
        return dict(error.formatted)
    if _is_about_the_request(error, cause):
        beyond_bounds = isinstance(error, GraphQLSyntaxError) and error.message.endswith(_PARSER_BOUND)
        code = RequestErrorCode.TOO_COMPLEX if beyond_bounds else RequestErrorCode.BAD_REQUEST
        return _located(error, error_payload(code, _without_values(error.message)))
    return _located(error, internal_error(cause, path=error.path))


def _without_values(message: str) -> str:
    """A message about a request, without the values that are in it."""
    message = _REPEATED_VALUE.sub(lambda found: found["what"] or "", message)
    message = _SUGGESTION.sub("", message)
    return message if message.endswith(".") else f"{message}."


def _is_about_the_request(error: GraphQLError, cause: BaseException) -> bool:
    """Whether graphql-core refused the request itself: its text, or a value in it.

    Errors before execution have no path. During execution, a refused argument points at the argument's
    value; a result that could not be serialised is an error of ours, and points at nothing by itself.
    """
    if isinstance(cause, (CannotGetOperationTypeError, InvalidOperationTypeError, MissingQueryError)):
        return True
    if not isinstance(cause, GraphQLError):
        return False
    return error.path is None or (cause is not error and bool(cause.nodes))


def _cause(error: GraphQLError) -> BaseException:
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _located(error: GraphQLError, payload: Payload) -> Payload:
    if error.locations:
        payload["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        payload["path"] = list(error.path)
    return payload
