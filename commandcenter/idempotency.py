"""Idempotency keys: the same request twice is done once.

A key is stored with a fingerprint of its request, so that one key with two different requests is refused
rather than answered with the wrong object.
"""

import hashlib
import json
import re
from dataclasses import asdict
from typing import Any
from uuid import UUID

from commandcenter.errors import ConflictError, InvalidError

_LONGEST = 255
_FIELD = ("idempotencyKey",)


def require_valid_key(key: str | None) -> None:
    """Refuse an empty, overlong or unprintable key."""
    if key is not None and not re.fullmatch(rf"[\x21-\x7e]{{1,{_LONGEST}}}", key):
        raise InvalidError(
            f"An idempotency key is 1 to {_LONGEST} printable ASCII characters without spaces.", _FIELD
        )


def fingerprint(request: Any, subject: UUID | None = None) -> str:
    """A hash of everything that a request, a dataclass, asks for; `subject` is what it is asked of."""
    canonical = json.dumps([str(subject), asdict(request)], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def require_same_request(stored: str | None, wanted: str) -> None:
    """Refuse a key that was used with other arguments."""
    if stored != wanted:
        raise ConflictError(
            "This idempotency key was used before with other arguments. Use a new key, or repeat the same "
            "arguments.",
            _FIELD,
        )
