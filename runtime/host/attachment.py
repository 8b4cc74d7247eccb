"""Taking a process's output."""

import asyncio

from runtime.host.output import Cursor


class Attachment:
    """One taker of a process's output: told when there is something to do, it takes what there is."""

    def __init__(self, cursors: list[Cursor]) -> None:
        self._cursors = cursors
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self.expired = False
        self.aborted = False

    def take(self, limit: int) -> tuple[str, memoryview] | None:
        """The next bytes and the stream they are of; they must be used before the next await."""
        for cursor in self._cursors:
            part = cursor.take(limit)
            if part:
                return cursor.stream.name, part
        return None

    def taken(self) -> None:
        """Let the process write on: what was taken has gone out."""
        for cursor in self._cursors:
            cursor.stream.resume()

    def wake(self) -> None:
        """End the current or the next wait."""
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def abort(self) -> None:
        """The sandbox ended or was paused: the taker will see no end."""
        self.aborted = True
        self.wake()

    def expire(self) -> None:
        """The taker's time is over."""
        self.expired = True
        self.wake()

    async def wait(self) -> None:
        """Until something changed: output, the end, or a `wake` from outside."""
        if not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._woken = False

    def release(self) -> None:
        """Hold up nothing any more."""
        for cursor in self._cursors:
            cursor.stream.detach(cursor)
