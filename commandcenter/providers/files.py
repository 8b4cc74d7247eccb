"""The files of a sandbox: looking, making, moving, removing. Contents go through `transfers`.

Paths are resolved inside the sandbox; a relative one and `~` begin at the user's home.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from e2b.envd.filesystem import filesystem_pb
from e2b.envd.utils import timeout_to_ms

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.errors import ProviderRefusedError
from commandcenter.providers.mapping import Subject


class FileKind(StrEnum):
    """What an entry of a file system is. A link is a SYMLINK, whatever it leads to."""

    FILE = "FILE"
    DIRECTORY = "DIRECTORY"
    SYMLINK = "SYMLINK"
    OTHER = "OTHER"


_KINDS = {
    filesystem_pb.FileType.FILE: FileKind.FILE,
    filesystem_pb.FileType.DIRECTORY: FileKind.DIRECTORY,
    filesystem_pb.FileType.SYMLINK: FileKind.SYMLINK,
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Something in a sandbox's file system. `size` in bytes, `mode` the permission bits."""

    name: str
    path: str
    kind: FileKind
    size: int
    mode: int
    owner: str
    group: str
    modified_at: datetime
    symlink_target: str | None


async def list_directory(
    attachment: Attachment, path: str, *, depth: int = 1, user: str | None = None
) -> list[FileEntry]:
    """What a directory holds, down to `depth` levels (1: itself alone), without the directory itself."""
    async with attachment.errors(Subject.FILE):
        answer = await attachment.filesystem.list_dir(
            filesystem_pb.ListDirRequest(path=path, depth=depth),
            headers=attachment.as_user(user),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )
    return [file_entry(entry) for entry in answer.entries]


async def stat(attachment: Attachment, path: str, *, user: str | None = None) -> FileEntry:
    """What is at `path`; raises `FileNotFoundInSandboxError`."""
    async with attachment.errors(Subject.FILE):
        answer = await attachment.filesystem.stat(
            filesystem_pb.StatRequest(path=path),
            headers=attachment.as_user(user),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )
    return file_entry(answer.entry)


async def make_directory(attachment: Attachment, path: str, *, user: str | None = None) -> FileEntry:
    """Make a directory and its missing parents; raises `FileExistsInSandboxError`."""
    async with attachment.errors(Subject.FILE):
        answer = await attachment.filesystem.make_dir(
            filesystem_pb.MakeDirRequest(path=path),
            headers=attachment.as_user(user),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )
    return file_entry(answer.entry)


async def move(
    attachment: Attachment, source: str, destination: str, *, user: str | None = None
) -> FileEntry:
    """Rename a file or directory; `destination` is its new path, not the directory to put it into."""
    async with attachment.errors(Subject.FILE):
        answer = await attachment.filesystem.move(
            filesystem_pb.MoveRequest(source=source, destination=destination),
            headers=attachment.as_user(user),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )
    return file_entry(answer.entry)


async def remove(attachment: Attachment, path: str, *, user: str | None = None) -> None:
    """Remove a file, or a directory with all that it holds. Nothing there is no error at E2B."""
    async with attachment.errors(Subject.FILE):
        await attachment.filesystem.remove(
            filesystem_pb.RemoveRequest(path=path),
            headers=attachment.as_user(user),
            timeout_ms=timeout_to_ms(attachment.request_seconds),
        )


def file_entry(entry: filesystem_pb.EntryInfo | None) -> FileEntry:
    """The entry that the file service describes."""
    entry = entry or filesystem_pb.EntryInfo()
    return FileEntry(
        name=entry.name,
        path=entry.path,
        kind=FileKind.SYMLINK if entry.is_symlink else _KINDS.get(entry.type, FileKind.OTHER),
        size=entry.size,
        mode=entry.mode,
        owner=entry.owner,
        group=entry.group,
        modified_at=_modified_at(entry),
        symlink_target=entry.symlink_target if entry.has_field("symlink_target") else None,
    )


def _modified_at(entry: filesystem_pb.EntryInfo) -> datetime:
    if entry.modified_time is None:
        raise ProviderRefusedError(
            "The sandbox's agent does not tell when a file was modified: it is too old, rebuild its template."
        )
    try:
        return entry.modified_time.to_datetime().astimezone(UTC)
    except OverflowError:
        # A program in the sandbox may set any time; this one rounds up beyond the year 9999.
        return datetime.max.replace(tzinfo=UTC)
