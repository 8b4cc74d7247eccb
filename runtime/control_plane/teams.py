"""Who asks: the team whose key a request bears.

A team sees what is its own: every endpoint that finds, lists or makes something asks `team_of(request)`.
"""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.control_plane.errors import refusal
from runtime.keys import Keys

OPEN_PATHS = ("/health",)
# What is in a volume is opened by the volume's own token.
OPEN_BELOW = "/volumecontent/"
TEAM_KEY = "runtime.team"


def team_of(request: HTTPConnection) -> str:
    """The team whose key the request bears."""
    team: str = request.scope[TEAM_KEY]
    return team


class RequireKey:
    """Answers 401 to requests without a known `X-API-Key`, and tells the others' team to the endpoints."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            given = HTTPConnection(scope).headers.get("x-api-key")
            if given is None:
                await refusal(401, "API key header is missing: send it as X-API-Key")(scope, receive, send)
                return
            team = self._keys.team(given)
            if team is None:
                message = "Cannot get the team for the given API key: it is none of this runtime's keys"
                await refusal(401, message)(scope, receive, send)
                return
            scope[TEAM_KEY] = team
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_BELOW)
