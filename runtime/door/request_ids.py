"""A name for each request, given back as `X-Request-Id` and written beside what is logged meanwhile."""

import re
import uuid

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
USABLE = re.compile(rb"[\w.:-]{1,128}")


class RequestIds:
    """Takes the client's name for a request where it has one that can be written down."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        given: bytes = dict(scope["headers"]).get(HEADER, b"") if scope["type"] == "http" else b""
        name = given if USABLE.fullmatch(given) else uuid.uuid4().hex.encode()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                # A server inside a sandbox may have a name of its own for it.
                if HEADER not in dict(headers):
                    message = {**message, "headers": [*headers, (HEADER, name)]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request=name.decode()):
            await self._app(scope, receive, send_named)
