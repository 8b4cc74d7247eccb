"""Global ids (Relay): opaque to clients, a type's name and a record's key to us."""

import base64
from uuid import UUID

from strawberry import ID

from commandcenter.errors import NotFoundError

_SEPARATOR = ":"


def global_id(type_name: str, key: UUID) -> ID:
    """The id of an object, unique over all types."""
    return ID(base64.urlsafe_b64encode(f"{type_name}{_SEPARATOR}{key.hex}".encode()).decode().rstrip("="))


def parse_global_id(text: str) -> tuple[str, UUID] | None:
    """The type's name and the key in an id; None for what is no id of ours."""
    if len(text) > 200:
        return None
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        type_name, _, key = decoded.decode("ascii").partition(_SEPARATOR)
        return type_name, UUID(hex=key)
    except ValueError:
        return None


def key_of(text: str, type_name: str, field: str) -> UUID:
    """The key in the id of a `type_name`; any other id is one of nothing: `NotFoundError`."""
    parsed = parse_global_id(text)
    if parsed is None or parsed[0] != type_name:
        raise NotFoundError(f"{field} is no {type_name}'s id in this project.", (field,))
    return parsed[1]
