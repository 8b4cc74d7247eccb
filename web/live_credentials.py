"""Ends what lives longer than its credential: sockets and streams of a key that was revoked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from commandcenter.database import Database
from web.authentication import Credential, authenticate

RECHECK_SECONDS = 3.0
RECHECKS_AT_ONCE = 4

_log = structlog.get_logger(__name__)

End = Callable[[], None]
Pause = Callable[[float], Awaitable[object]]


class LiveCredentials:
    """The credentials of this process's open sockets and streams, each asked about every few seconds.

    The signal of a revoked key brings the next look forward; a lost signal costs those seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: dict[Credential, dict[object, End]] = {}

    @contextmanager
    def watch(self, credential: Credential, end: End) -> Iterator[None]:
        """While the block runs, call `end` once the credential stands for nobody any more."""
        token = object()
        self._watched.setdefault(credential, {})[token] = end
        try:
            yield
        finally:
            watchers = self._watched[credential]
            del watchers[token]
            if not watchers:
                del self._watched[credential]

    async def run(self, pause: Pause = asyncio.sleep) -> None:
        """Ask again and again; runs as long as the application does.

        `pause` waits for so many seconds, or less where it knows that a key was revoked.
        """
        while True:
            await pause(RECHECK_SECONDS)
            await self._recheck()

    async def _recheck(self) -> None:
        turns = asyncio.Semaphore(RECHECKS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for credential in list(self._watched):
                group.create_task(self._recheck_one(credential, turns))

    async def _recheck_one(self, credential: Credential, turns: asyncio.Semaphore) -> None:
        async with turns:
            try:
                scope = await authenticate(self._database, credential, None)
            except Exception:
                _log.warning("credentials.recheck_failed", exc_info=True)
                return
        if scope is None:
            for end in list(self._watched.get(credential, {}).values()):
                end()
