"""Users inside a sandbox, and paths as they mean them."""

import base64
import binascii
import posixpath

from runtime.data_plane.connect_protocol import Call, ConnectError
from runtime.host.accounts import Account, UnknownUserError
from runtime.host.sandbox import Sandbox


def user_named(authorization: bytes) -> str:
    """The user of a request: in Basic authentication, as E2B's clients write it; else nobody's name."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise ConnectError("unauthenticated", "the user's name can't be read") from None


async def user_of(call: Call, sandbox: Sandbox) -> Account:
    """Whom a call is for; a user that the sandbox doesn't have is refused as E2B refuses it."""
    name = user_named(call.headers.get(b"authorization", b""))
    try:
        return await sandbox.account(name)
    except UnknownUserError as error:
        raise ConnectError("unauthenticated", f"invalid username: '{name}': {error}") from error


def resolve(path: str, home: str) -> str:
    """An absolute path: `~` and relative paths begin at the user's home."""
    if path.startswith("~"):
        if path[1:2] not in ("", "/"):
            raise ConnectError("invalid_argument", "only '~' and '~/…' are expanded, not another user's home")
        path = home + path[1:]
    return posixpath.normpath(posixpath.join(home, path))
