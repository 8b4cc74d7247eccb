"""Idempotency keys: the same request twice is done once.

A key is stored with a fingerprint of its request, so that one key with two different requests is refused
rather than answered with the wrong object.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.database import Database
from commandcenter.errors import ConflictError, InvalidError

_LONGEST = 255
_FIELD = ("idempotencyKey",)


Inserted = TypeVar("Inserted")


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


async def find_or_insert(
    database: Database,
    project_id: UUID,
    record: type[Any],
    key: str | None,
    wanted: str,
    insert: Callable[[AsyncSession], Awaitable[Inserted]],
) -> tuple[Any, Inserted | None]:
    """The record that a key stands for already, or what `insert` makes in a transaction: one of the two.

    `record` is a class with `project_id`, `idempotency_key` and `request_fingerprint`.
    Of several at the same moment one inserts, and the others find. `ConflictError` where the record was made
    by a request with another fingerprint than `wanted`.
    """
    try:
        async with database.transaction(project_id) as session:
            existing = await _find(session, project_id, record, key)
            if existing is None:
                return None, await insert(session)
    except IntegrityError:
        async with database.transaction(project_id) as session:
            existing = await _find(session, project_id, record, key)
        if existing is None:
            raise
    _require_same_request(existing.request_fingerprint, wanted)
    return existing, None


async def _find(session: AsyncSession, project_id: UUID, record: type[Any], key: str | None) -> Any | None:
    if key is None:
        return None
    return await session.scalar(
        select(record).where(record.project_id == project_id, record.idempotency_key == key)
    )


def _require_same_request(stored: str | None, wanted: str) -> None:
    if stored != wanted:
        raise ConflictError(
            "This idempotency key was used before with other arguments. Use a new key, or repeat the same "
            "arguments.",
            _FIELD,
        )
