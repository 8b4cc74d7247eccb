"""Watches of directories as their takers see them: a bounded queue of events, and the end of it."""

import asyncio
import secrets
import time
from collections import deque
from dataclasses import dataclass

from e2b.envd.filesystem.filesystem_pb import EventType, FilesystemEvent

from runtime.data_plane.entries import entry_of, text_of
from runtime.data_plane.file_agent_connection import LONG_SECONDS, FileAgentConnection
from runtime.data_plane.file_errors import FileAgentGoneError, FileOperationError

MAX_EVENTS = 8_192
MAX_EVENT_BYTES = 2 * 1024 * 1024
MAX_POLLED_WATCHERS = 64
UNPOLLED_SECONDS = 3_600.0

_TYPES = {
    b"create": EventType.CREATE,
    b"write": EventType.WRITE,
    b"remove": EventType.REMOVE,
    b"rename": EventType.RENAME,
    b"chmod": EventType.CHMOD,
}


@dataclass(frozen=True)
class WatchRequest:
    """What to watch."""

    path: bytes
    recursive: bool
    include_entry: bool


class Watch:
    """One watched directory; what nobody takes is kept up to a bound, after which the watch is over."""

    def __init__(self, agent: FileAgentConnection) -> None:
        self._agent = agent
        self._events: deque[list[bytes]] = deque()
        self._queued_bytes = 0
        self._end: FileOperationError | None = None
        self._changed = asyncio.Event()

    async def start(self, request: WatchRequest) -> None:
        """Begin to watch; raises FileOperationError where that can't be."""
        flags = (b"yes" if on else b"no" for on in (request.recursive, request.include_entry))
        self._request = self._agent.send("watch", request.path, *flags, listener=self._receive)
        try:
            await self._request.answer(LONG_SECONDS)
        finally:
            self._agent.forget(self._request)

    def close(self) -> None:
        """Stop watching."""
        self._agent.undo(self._request)

    def take(self) -> list[FilesystemEvent]:
        """What happened since the last call; raises FileOperationError once the watch is over."""
        if not self._events and self._end is not None:
            raise self._end
        if self._end is None:
            self._changed.clear()
        taken = [_event_of(fields) for fields in self._events]
        self._events.clear()
        self._queued_bytes = 0
        return taken

    async def wait(self, seconds: float) -> bool:
        """Until there is something to take, or `wake` is called; False where the time was over before."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """End the current or the next wait."""
        self._changed.set()

    def _receive(self, fields: list[bytes]) -> None:
        if self._end is not None:
            return
        self._changed.set()
        if fields[:1] == [b"gone"]:
            self._end = FileAgentGoneError()
        elif len(fields) != 3 or fields[0] not in _TYPES:
            self._overflow()
        else:
            self._queued_bytes += sum(map(len, fields))
            if len(self._events) >= MAX_EVENTS or self._queued_bytes > MAX_EVENT_BYTES:
                self._overflow()
            else:
                self._events.append(fields)

    def _overflow(self) -> None:
        message = "events were lost, since more changed than was taken: list the directory and watch it again"
        self._end = FileOperationError("events_lost", message)


class PolledWatches:
    """The watches of one sandbox whose events are asked for; forgotten after an hour without a question."""

    def __init__(self) -> None:
        self._watches: dict[str, tuple[Watch, float]] = {}

    def add(self, watch: Watch) -> str:
        """Keep a watch; gives the id to ask with. Raises FileOperationError where there are too many."""
        self._drop_unpolled()
        if len(self._watches) >= MAX_POLLED_WATCHERS:
            message = f"a sandbox has at most {MAX_POLLED_WATCHERS} watchers at once: remove one"
            raise FileOperationError("resource_exhausted", message)
        watcher_id = "w" + secrets.token_hex(10)
        self._watches[watcher_id] = (watch, time.monotonic())
        return watcher_id

    def take(self, watcher_id: str) -> list[FilesystemEvent]:
        """The events of a watch since the last question."""
        watch = self._find(watcher_id)
        self._watches[watcher_id] = (watch, time.monotonic())
        return watch.take()

    def remove(self, watcher_id: str) -> None:
        """End a watch."""
        self._find(watcher_id).close()
        del self._watches[watcher_id]

    def _find(self, watcher_id: str) -> Watch:
        if watcher_id not in self._watches:
            raise FileOperationError("not_found", f"watcher with id {watcher_id} not found")
        return self._watches[watcher_id][0]

    def _drop_unpolled(self) -> None:
        oldest = time.monotonic() - UNPOLLED_SECONDS
        for watcher_id, (_, polled) in list(self._watches.items()):
            if polled < oldest:
                self.remove(watcher_id)


def _event_of(fields: list[bytes]) -> FilesystemEvent:
    event = FilesystemEvent(name=text_of(fields[1]), type=_TYPES[fields[0]])
    if fields[2]:
        event.entry = entry_of(fields[2])
    return event
