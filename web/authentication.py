"""Whose request it is: the credential that a request carries, and the scope that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from commandcenter.access.authentication import authenticate_key, authenticate_session
from commandcenter.access.scope import Scope
from commandcenter.database import Database
from web.graphql.errors import RequestErrorCode
from web.origin import comes_from_own_page
from web.refusals import RefusedRequestError

SESSION_COOKIE = "commandcenter_session"
MAXIMUM_CREDENTIAL_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that a request carries; a session is one that a browser attaches without being asked."""

    secret: str = field(repr=False)
    is_session: bool


async def authenticate(database: Database, credential: Credential, address: str | None) -> Scope | None:
    """The scope that a credential stands for now; None where it is unknown, expired or revoked.

    It asks the database each time, so that a revoked key is refused at once.
    """
    if not credential.secret.isprintable() or not 0 < len(credential.secret) <= MAXIMUM_CREDENTIAL_LENGTH:
        return None
    if credential.is_session:
        return await authenticate_session(database, credential.secret, address=address)
    return await authenticate_key(database, credential.secret, address=address)


async def authenticate_request(database: Database, connection: HTTPConnection) -> tuple[Credential, Scope]:
    """The credential of a request, and the scope that it stands for.

    `RefusedRequestError` where it has no valid one, or a session's cookie on a request of another page.
    """
    credential = credential_of_request(connection)
    if credential is not None and credential.is_session and not comes_from_own_page(connection):
        raise RefusedRequestError(
            "The session cookie counts only for requests of this server's own pages. "
            "Use an API key: `Authorization: Bearer cc_…`.",
            status=403,
            code=RequestErrorCode.FORBIDDEN,
        )
    scope = None
    if credential is not None:
        scope = await authenticate(database, credential, caller_address(connection))
    if credential is None or scope is None:
        raise RefusedRequestError(
            "This needs a valid API key, as `Authorization: Bearer cc_…` or `X-API-Key: cc_…`."
            if credential is None
            else "The key is unknown, expired or revoked, or the session is over.",
            status=401,
            code=RequestErrorCode.UNAUTHENTICATED,
            headers={"WWW-Authenticate": 'Bearer realm="CommandCenter"'},
        )
    return credential, scope


def credential_of_request(connection: HTTPConnection) -> Credential | None:
    """The credential in a request's headers; a key that is given outright goes before the cookie."""
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        return _key(_bearer_secret(authorization))
    api_key = connection.headers.get("x-api-key")
    if api_key is not None:
        return _key(api_key.strip())
    return session_of_request(connection)


def credential_of_payload(payload: Mapping[str, Any]) -> Credential | None:
    """The credential in a `connection_init` payload: `Authorization: "Bearer …"` or `apiKey`."""
    for name, value in payload.items():
        if name.lower() == "authorization":
            return _key(_bearer_secret(value) if isinstance(value, str) else "")
        if name.lower() in ("apikey", "x-api-key"):
            return _key(value.strip() if isinstance(value, str) else "")
    return None


def session_of_request(connection: HTTPConnection) -> Credential | None:
    """The session cookie of a request, where it has one."""
    cookie = connection.cookies.get(SESSION_COOKIE)
    return Credential(cookie, is_session=True) if cookie else None


def caller_address(connection: HTTPConnection) -> str | None:
    """The caller's network address, for the audit trail."""
    return connection.client.host if connection.client else None


def _key(secret: str) -> Credential:
    return Credential(secret, is_session=False)


def _bearer_secret(authorization: str) -> str:
    scheme, _, secret = authorization.strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
