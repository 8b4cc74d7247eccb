"""Keys of records: UUIDv7 (RFC 9562), so that they sort by the time of their making."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new UUIDv7."""
    return uuid7()
