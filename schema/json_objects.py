"""JSON in inputs."""

import json
from typing import Any

from commandcenter.errors import InvalidError


def json_object(value: Any, field: str, largest_bytes: int) -> dict[str, Any] | None:
    """A JSON object that a caller gave, or None; `InvalidError` for anything else, or too much of it."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidError(f'{field} must be a JSON object, such as {{"key": "value"}}.', (field,))
    encoded = json.dumps(value)
    if len(encoded) > largest_bytes:
        raise InvalidError(f"{field} has at most {largest_bytes} bytes as JSON.", (field,))
    if "\\u0000" in encoded:
        raise InvalidError(f"{field} holds a NUL character, which cannot be stored.", (field,))
    return value
