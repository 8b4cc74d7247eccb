"""What the file fields, mutations and subscriptions do."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from strawberry import Parent

from commandcenter.files import actions
from commandcenter.files.bounds import mode_of, octal_digits
from commandcenter.files.links import link_to_file
from commandcenter.files.queries import Listing
from commandcenter.files.watch import FileEvent, watch_files
from commandcenter.providers.files import FileEntry, FileKind
from commandcenter.sandboxes.errors import SandboxNotFoundError
from commandcenter.sandboxes.records import Sandbox
from resolvers.content import bytes_of
from resolvers.context import Info
from resolvers.ids import key_of
from resolvers.outcomes import Outcome, outcome_of

SANDBOX = "Sandbox"
# A program in a sandbox can make a file seem larger than BigInt goes.
_LARGEST_SHOWN_SIZE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class FileView:
    """What `FileEntry` shows of an entry of a sandbox's file system."""

    sandbox: Sandbox
    entry: FileEntry

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.entry.name

    @property
    def path(self) -> str:
        """Where it is."""
        return self.entry.path

    @property
    def kind(self) -> FileKind:
        """What it is."""
        return self.entry.kind

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return min(self.entry.size, _LARGEST_SHOWN_SIZE)

    @property
    def mode(self) -> str:
        """Its permission bits, as four octal digits."""
        return octal_digits(self.entry.mode)

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.entry.owner

    @property
    def modified_at(self) -> datetime:
        """When its content changed last."""
        return self.entry.modified_at

    @property
    def symlink_target(self) -> str | None:
        """Where a link leads."""
        return self.entry.symlink_target


async def files_in(root: Any, info: Info, listing: Listing) -> list[FileView]:
    """`Sandbox.files`."""
    return [FileView(root, entry) for entry in await info.context.file_reads.list(root, listing)]


async def file_at(root: Any, info: Info, path: str) -> FileView | None:
    """`Sandbox.file`: null where nothing is at the path."""
    entry = await info.context.file_reads.find(root, path)
    return FileView(root, entry) if entry is not None else None


async def text_of(root: Any, info: Info, most_bytes: int) -> str | None:
    """`FileEntry.text`: null where it is no file, or no UTF-8."""
    if root.kind not in (FileKind.FILE, FileKind.SYMLINK):
        return None
    return await info.context.file_reads.text(root.sandbox, root.path, most_bytes)


def download_url(root: Parent[Any], info: Info) -> str:
    """`FileEntry.downloadUrl`."""
    return link_to_file(info.context.services, info.context.scope, root.sandbox.id, root.path)


async def write(
    info: Info, sandbox: str, path: str, text: str | None, base64: str | None, mode: str | None
) -> Outcome[FileView]:
    """`writeFile`."""

    async def work(key: UUID) -> FileEntry:
        context = info.context
        data = bytes_of(text, base64)
        return await actions.write_file(context.services, context.scope, key, path, data, mode=mode_of(mode))

    return await _outcome(info, sandbox, work)


async def make_directory(info: Info, sandbox: str, path: str) -> Outcome[FileView]:
    """`makeDirectory`."""

    async def work(key: UUID) -> FileEntry:
        return await actions.make_directory(info.context.services, info.context.scope, key, path)

    return await _outcome(info, sandbox, work)


async def move(
    info: Info, sandbox: str, path: str, destination: str, *, overwrite: bool
) -> Outcome[FileView]:
    """`moveFile`."""

    async def work(key: UUID) -> FileEntry:
        return await actions.move_file(
            info.context.services, info.context.scope, key, path, destination, overwrite=overwrite
        )

    return await _outcome(info, sandbox, work)


async def remove(info: Info, sandbox: str, path: str) -> Outcome[FileView]:
    """`removeFile`: what was removed."""

    async def work(key: UUID) -> FileEntry:
        return await actions.remove_file(info.context.services, info.context.scope, key, path)

    return await _outcome(info, sandbox, work)


async def _outcome(
    info: Info, sandbox: str, work: Callable[[UUID], Awaitable[FileEntry]]
) -> Outcome[FileView]:
    async def viewed() -> FileView:
        key = key_of(sandbox, SANDBOX, "sandboxId")
        entry = await work(key)
        record = await info.context.sandboxes.load(key)
        if record is None:
            raise SandboxNotFoundError
        return FileView(record, entry)

    return await outcome_of(viewed())


async def events(info: Info, sandbox: str, path: str, *, recursive: bool) -> AsyncGenerator[FileEvent, None]:
    """`fileEvents`."""
    key = key_of(sandbox, SANDBOX, "sandboxId")
    watching = watch_files(info.context.services, info.context.scope, key, path, recursive=recursive)
    async with aclosing(watching) as changes:
        async for change in changes:
            yield change
