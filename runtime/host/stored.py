"""What an earlier or a later version of the runtime stored, read as far as this one knows it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known_fields(kind: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored fields that a dataclass has; one of another version may have more."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
