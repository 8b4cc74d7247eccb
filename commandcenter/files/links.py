"""Links to files: signed, so that they need no key, and short-lived, because they need no key.

A link acts in the name of the key that asked for it: it ends with that key, and sees what that key sees.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer

from commandcenter.access.authentication import scope_of_key
from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.errors import ForbiddenError
from commandcenter.files.errors import ExpiredFileLinkError, UnknownFileLinkError
from commandcenter.services import Services

LINK_LIFETIME = timedelta(minutes=10)
_SALT = b"commandcenter.files.links"
_LONGEST_TOKEN = 16_384


@dataclass(frozen=True, slots=True)
class FileLink:
    """What a link stands for: a file of a sandbox, in the name of a key, for a while."""

    key_id: UUID
    sandbox_id: UUID
    path: str
    expires_at: datetime


def link_to_file(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> str:
    """A URL that gives the file's bytes to whoever has it, for `LINK_LIFETIME`."""
    if scope.key_id is None:
        raise ForbiddenError("Links to files are made in the name of a key. Use an API key.")
    link = FileLink(scope.key_id, sandbox_id, path, now() + LINK_LIFETIME)
    return f"{services.settings.address}/files/{sign_link(services.signing_key, link)}"


async def follow_link(
    services: Services, token: str, *, address: str | None = None
) -> tuple[Scope, FileLink]:
    """What a link's token stands for, with the scope of its key as it is now.

    Raises `UnknownFileLinkError` and `ExpiredFileLinkError`.
    """
    link = read_link(services.signing_key, token)
    if link.expires_at <= now():
        raise ExpiredFileLinkError
    scope = await scope_of_key(services.database, link.key_id, address=address)
    if scope is None:
        raise UnknownFileLinkError
    return scope, link


def sign_link(signing_key: bytes, link: FileLink) -> str:
    """The token of a link, safe in URLs."""
    seconds = int(link.expires_at.timestamp())
    return _serializer(signing_key).dumps([link.key_id.hex, link.sandbox_id.hex, link.path, seconds])


def read_link(signing_key: bytes, token: str) -> FileLink:
    """The link that a token stands for, expired or not; `UnknownFileLinkError` where we did not sign it."""
    if len(token) > _LONGEST_TOKEN:
        raise UnknownFileLinkError
    try:
        key_id, sandbox_id, path, seconds = _serializer(signing_key).loads(token)
    except BadData as error:
        raise UnknownFileLinkError from error
    return FileLink(UUID(hex=key_id), UUID(hex=sandbox_id), path, datetime.fromtimestamp(seconds, UTC))


def _serializer(signing_key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        signing_key, salt=_SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
    )
