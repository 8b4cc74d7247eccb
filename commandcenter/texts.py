"""Text and JSON that callers give, before it is stored or looked for."""

import json
from typing import Any

from commandcenter.errors import InvalidError


def require_text(text: str | None, field: str, longest: int) -> None:
    """Refuse text that is blank, longer than `longest` characters, or cannot be stored; None is no text."""
    if text is None:
        return
    if not len(text.strip()) >= 1 or len(text) > longest:
        raise InvalidError(f"{field} has 1 to {longest} characters, not all of them blank.", (field,))
    require_storable(text, field)


def require_storable(text: str | None, field: str) -> None:
    """Refuse text with a NUL character, which PostgreSQL cannot hold and no argument of a process either."""
    if text is not None and "\0" in text:
        raise InvalidError(f"{field} holds a NUL character, which cannot be stored.", (field,))


def require_json_object(value: Any, field: str, largest_bytes: int) -> None:
    """Refuse what is no JSON object, is larger than `largest_bytes` as JSON, or cannot be stored."""
    if not isinstance(value, dict):
        raise InvalidError(f'{field} must be a JSON object, such as {{"key": "value"}}.', (field,))
    encoded = json.dumps(value)
    if len(encoded) > largest_bytes:
        raise InvalidError(f"{field} has at most {largest_bytes} bytes as JSON.", (field,))
    if "\\u0000" in encoded:
        raise InvalidError(f"{field} holds a NUL character, which cannot be stored.", (field,))
