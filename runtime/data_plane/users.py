"""Users inside a sandbox, and paths as they mean them."""

import base64
import binascii
import posixpath

from runtime.data_plane.connect_protocol import Call, ConnectError
from runtime.host.bubblewrap import HOME

USER = "user"


def user_named(authorization: bytes) -> str:
    """The user of a request: in Basic authentication, as E2B's clients write it; else the default."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return USER
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0] or USER
    except (binascii.Error, UnicodeDecodeError):
        raise ConnectError("unauthenticated", "the user's name can't be read") from None


def require_user(call: Call) -> None:
    """Refuse any user but the one that there is."""
    name = user_named(call.headers.get(b"authorization", b""))
    if name != USER:
        raise ConnectError(
            "unauthenticated", f"invalid username: '{name}'; a sandbox here has the user '{USER}' only"
        )


def resolve(path: str) -> str:
    """An absolute path: `~` and relative paths begin at the user's home."""
    if path.startswith("~"):
        if path[1:2] not in ("", "/"):
            raise ConnectError("invalid_argument", "only '~' and '~/…' are expanded, not another user's home")
        path = HOME + path[1:]
    return posixpath.normpath(posixpath.join(HOME, path))
