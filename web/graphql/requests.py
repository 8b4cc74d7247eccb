"""Reading one operation from an HTTP request."""

from typing import Any

import orjson
from starlette.requests import Request
from strawberry.types.graphql import OperationType

from web.body_limit import BodyTooLargeError, BodyTooSlowError, read_body
from web.graphql.media_types import is_json
from web.graphql.service import Operation
from web.refusals import RefusedRequestError


async def read_operation(request: Request, *, maximum_bytes: int) -> Operation:
    """The operation that a request carries (`RefusedRequestError` where it carries none)."""
    if request.method == "GET":
        return _operation_of_query_string(request)
    if not is_json(request.headers.get("content-type")):
        raise RefusedRequestError(
            "Send the operation as JSON in UTF-8, with the header `Content-Type: application/json`.",
            status=415,
        )
    try:
        body = await read_body(request, maximum_bytes=maximum_bytes)
    except BodyTooLargeError as error:
        raise RefusedRequestError(str(error), status=413) from None
    except BodyTooSlowError as error:
        raise RefusedRequestError(str(error), status=408) from None
    return operation_of_parameters(_parse(body, "The request's body"))


def operation_of_parameters(parameters: object) -> Operation:
    """The operation that the parameters of a request describe, each checked for its type."""
    if isinstance(parameters, list):
        raise RefusedRequestError("Send one operation at a time: batches are not taken.")
    if not isinstance(parameters, dict):
        raise RefusedRequestError("The request must be a JSON object with the operation in `query`.")
    query = parameters.get("query")
    if not isinstance(query, str) or not query.strip():
        raise RefusedRequestError("`query` must be a string that holds a GraphQL document.")
    return Operation(
        query=query,
        variables=_optional(parameters, "variables", dict, "an object"),
        operation_name=_optional(parameters, "operationName", str, "a string"),
        extensions=_optional(parameters, "extensions", dict, "an object"),
    )


def allowed_operations(request: Request) -> frozenset[OperationType]:
    """What a request that gets a plain answer may run: GET only reads, and a subscription needs a stream."""
    if request.method == "GET":
        return frozenset({OperationType.QUERY})
    return frozenset({OperationType.QUERY, OperationType.MUTATION})


def _operation_of_query_string(request: Request) -> Operation:
    parameters: dict[str, Any] = {}
    for name in ("query", "operationName", "variables", "extensions"):
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise RefusedRequestError(f"`{name}` is given {len(values)} times; give it once.")
        if values and values[0]:
            is_text = name in ("query", "operationName")
            parameters[name] = values[0] if is_text else _parse(values[0].encode(), f"`{name}`")
    return operation_of_parameters(parameters)


def _parse(text: bytes, what: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RefusedRequestError(f"{what} is not valid JSON: {error}.") from None


def _optional(parameters: dict[str, Any], name: str, kind: type, description: str) -> Any:
    value = parameters.get(name)
    if value is not None and not isinstance(value, kind):
        raise RefusedRequestError(f"`{name}` must be {description} or null.")
    return value
