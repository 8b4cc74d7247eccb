"""Which page made a request: a browser's cookie counts only where the page is our own."""

from starlette.requests import HTTPConnection
from strawberry.http.websocket_origin import is_same_origin


def comes_from_own_page(connection: HTTPConnection) -> bool:
    """Whether a request with a cookie was made by a page of this very server.

    A browser states `Origin` on each POST and WebSocket, and `Sec-Fetch-Site` on every request; a request
    that states neither can't be told from a forged one.
    """
    origin = connection.headers.get("origin")
    if origin is not None:
        return is_same_origin(origin, connection.headers.get("host"))
    return connection.headers.get("sec-fetch-site") == "same-origin"


def comes_from_foreign_page(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another origin made the request."""
    origin = connection.headers.get("origin")
    return origin is not None and not is_same_origin(origin, connection.headers.get("host"))
