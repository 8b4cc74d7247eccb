"""Seeing the changes in a sandbox's directory as they happen."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self, cast

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.connection_config import KEEPALIVE_PING_HEADER
from e2b.envd.filesystem import filesystem_pb
from protobuf import Oneof

from commandcenter.providers.attachments import KEEPALIVE_SECONDS, Attachment
from commandcenter.providers.mapping import Subject, raise_if_cancelled


class FileEventKind(StrEnum):
    """What happened to an entry. RENAMED: it went from this name; its new one is CREATED."""

    CREATED = "CREATED"
    WRITTEN = "WRITTEN"
    REMOVED = "REMOVED"
    RENAMED = "RENAMED"
    MODE_CHANGED = "MODE_CHANGED"


_KINDS = {
    filesystem_pb.EventType.CREATE: FileEventKind.CREATED,
    filesystem_pb.EventType.WRITE: FileEventKind.WRITTEN,
    filesystem_pb.EventType.REMOVE: FileEventKind.REMOVED,
    filesystem_pb.EventType.RENAME: FileEventKind.RENAMED,
    filesystem_pb.EventType.CHMOD: FileEventKind.MODE_CHANGED,
}


@dataclass(frozen=True, slots=True)
class FileChange:
    """Something that happened to an entry; `name` is its path within the watched directory."""

    kind: FileEventKind
    name: str


class Watch:
    """The changes as an async iterator without an end; close it to stop watching."""

    def __init__(
        self, attachment: Attachment, events: AsyncGenerator[filesystem_pb.WatchDirResponse, None]
    ) -> None:
        self._attachment = attachment
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FileChange:
        while True:
            async with self._attachment.errors(Subject.FILE):
                event = await _next_event(self._events, self._attachment.silence_seconds)
            match event:
                case Oneof(field="filesystem", value=filesystem_pb.FilesystemEvent(type=kind, name=name)):
                    if kind in _KINDS:
                        return FileChange(_KINDS[kind], name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop watching."""
        await self._events.aclose()


async def watch(
    attachment: Attachment, path: str, *, recursive: bool = False, user: str | None = None
) -> Watch:
    """Begin to watch a directory: changes from now on are seen."""
    events = cast(
        AsyncGenerator[filesystem_pb.WatchDirResponse, None],
        attachment.filesystem.watch_dir(
            filesystem_pb.WatchDirRequest(path=path, recursive=recursive),
            headers={**attachment.as_user(user), KEEPALIVE_PING_HEADER: str(KEEPALIVE_SECONDS)},
        ),
    )
    async with attachment.errors(Subject.FILE):
        try:
            _expect_start(await _next_event(events, attachment.request_seconds))
        except BaseException:
            await events.aclose()
            raise
    return Watch(attachment, events)


def _expect_start(event: object) -> None:
    if not isinstance(event, Oneof) or event.field != "start":
        raise ConnectError(Code.INTERNAL, f"the watch did not open with its start, but {event}")


async def _next_event(events: AsyncGenerator[filesystem_pb.WatchDirResponse, None], seconds: float) -> object:
    async with asyncio.timeout(seconds):
        try:
            return (await anext(events)).event
        except ConnectError as error:
            raise_if_cancelled(error)
            raise
        except StopAsyncIteration as error:
            raise ConnectError(Code.UNAVAILABLE, "the watch ended by itself") from error
