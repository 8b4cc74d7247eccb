"""Answers to clients that don't read them are broken off, so that nobody fills our memory by not reading."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.data_plane.connect_protocol import StreamAbortedError

UNREAD_SECONDS = 60


class BreakOffUnread:
    """For answers that are whole when they begin; streams have bounds of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(UNREAD_SECONDS):
                    await send(message)
            except TimeoutError as error:
                raise StreamAbortedError("the client doesn't read its answer") from error

        await self._app(scope, receive, send_in_time)
