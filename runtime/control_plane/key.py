"""The door of the control plane: only who bears the API key comes in."""

import secrets

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.control_plane.errors import refusal

OPEN_PATHS = ("/health",)


class RequireKey:
    """Answers 401 to requests without the right `X-API-Key`."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._api_key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = HTTPConnection(scope).headers.get("x-api-key")
            if given is None:
                await refusal(401, "API key header is missing: send it as X-API-Key")(scope, receive, send)
                return
            if not secrets.compare_digest(given.encode(), self._api_key):
                await refusal(401, "Cannot get the team for the given API key: it is not this runtime's key")(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)
