"""Directories of a sandbox, watched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from e2b import AsyncSandbox
from e2b.exceptions import (
    FileNotFoundException,
    InvalidArgumentException,
    RateLimitException,
    TimeoutException,
)
from e2b.sandbox.filesystem.watch_handle import FilesystemEvent, FilesystemEventType

Change = tuple[FilesystemEventType, str]
CREATE, WRITE, REMOVE = FilesystemEventType.CREATE, FilesystemEventType.WRITE, FilesystemEventType.REMOVE
RENAME, CHMOD = FilesystemEventType.RENAME, FilesystemEventType.CHMOD


class Seen:
    """The events of a watch, and a wait for more."""

    def __init__(self) -> None:
        self.events: list[FilesystemEvent] = []
        self._more = asyncio.Condition()

    @property
    def changes(self) -> list[Change]:
        return [(event.type, event.name) for event in self.events]

    async def add(self, event: FilesystemEvent) -> None:
        async with self._more:
            self.events.append(event)
            self._more.notify_all()

    async def until(self, change: Change) -> list[Change]:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: change in self.changes)
        return self.changes


@asynccontextmanager
async def watching(
    box: AsyncSandbox, path: str, *, recursive: bool = False, include_entry: bool = False
) -> AsyncIterator[Seen]:
    seen = Seen()
    handle = await box.files.watch_dir(
        path, on_event=seen.add, recursive=recursive, include_entry=include_entry, timeout=0
    )
    try:
        yield seen
    finally:
        await handle.stop()  # type: ignore[no-untyped-call]


async def test_each_kind_of_change_is_told(box: AsyncSandbox) -> None:
    await box.files.make_dir("kinds")
    async with watching(box, "kinds") as seen:
        await box.commands.run("cd kinds && echo x > a && chmod 600 a && mv a b && rm b")
        changes = await seen.until((REMOVE, "b"))
    assert changes == [(CREATE, "a"), (WRITE, "a"), (CHMOD, "a"), (RENAME, "a"), (CREATE, "b"), (REMOVE, "b")]


async def test_an_upload_is_told_as_writing_the_file_itself(box: AsyncSandbox) -> None:
    await box.files.write("uploads/there", "old")
    async with watching(box, "uploads") as seen:
        await box.files.write("uploads/there", "new")
        assert await seen.until((WRITE, "there")) == [(WRITE, "there")]
        await box.files.write("uploads/new", "new", metadata={"k": "v"})
        assert await seen.until((WRITE, "new")) == [(WRITE, "there"), (CREATE, "new"), (WRITE, "new")]


async def test_what_is_below_is_told_only_when_asked_for(box: AsyncSandbox) -> None:
    await box.files.make_dir("flat/below")
    async with watching(box, "flat") as flat, watching(box, "flat", recursive=True) as deep:
        await box.files.write("flat/below/file", "x")
        await box.files.write("flat/last", "x")
        assert await flat.until((WRITE, "last")) == [(CREATE, "last"), (WRITE, "last")]
        assert (WRITE, "below/file") in await deep.until((WRITE, "last"))


async def test_a_recursive_watch_keeps_up_with_a_growing_and_moving_tree(box: AsyncSandbox) -> None:
    await box.files.make_dir("growing")
    async with watching(box, "growing", recursive=True) as seen:
        await box.commands.run("mkdir -p growing/a/b/c && echo x > growing/a/b/c/file")
        await seen.until((CREATE, "a/b/c/file"))
        await box.commands.run("mv growing/a growing/z")
        await seen.until((CREATE, "z"))
        await box.commands.run("echo y >> growing/z/b/c/file && rm -r growing/z")
        changes = await seen.until((REMOVE, "z"))
    assert (WRITE, "z/b/c/file") in changes
    assert (REMOVE, "z/b/c/file") in changes


async def test_an_event_can_bring_its_entry(box: AsyncSandbox) -> None:
    await box.files.make_dir("entries")
    async with watching(box, "entries", include_entry=True) as seen:
        await box.files.write("entries/file", "four")
        await seen.until((WRITE, "file"))
    entry = seen.events[-1].entry
    assert entry is not None
    assert (entry.path, entry.size) == ("/home/user/entries/file", 4)


async def test_only_directories_that_are_there_are_watched(box: AsyncSandbox) -> None:
    with pytest.raises(FileNotFoundException, match="path /home/user/nowhere not found"):
        await box.files.watch_dir("nowhere", on_event=print)
    await box.files.write("no-directory", "")
    with pytest.raises(InvalidArgumentException, match="not a directory"):
        await box.files.watch_dir("no-directory", on_event=print)


async def test_a_watch_ends_at_its_deadline(box: AsyncSandbox) -> None:
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def exited(error: Exception | None) -> None:
        ended.set_result(error)

    await box.files.watch_dir("/home/user", on_event=print, on_exit=exited, timeout=1)
    async with asyncio.timeout(10):
        assert isinstance(await ended, TimeoutException)


async def test_a_sandbox_has_a_bounded_number_of_watchers(box: AsyncSandbox) -> None:
    handles = [await box.files.watch_dir("/home/user", on_event=print, timeout=0) for _ in range(64)]
    with pytest.raises(RateLimitException, match="at most 64 watchers"):
        await box.files.watch_dir("/home/user", on_event=print, timeout=0)
    for handle in handles:
        await handle.stop()  # type: ignore[no-untyped-call]
    assert await box.files.exists("/home/user")
