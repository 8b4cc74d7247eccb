"""The files of a sandbox: looking, making, moving, removing. Contents go through `transfers`.

Paths are resolved inside the sandbox; a relative one and `~` begin at the user's home.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from e2b.envd.filesystem import filesystem_pb
from e2b.envd.utils import timeout_to_ms

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.mapping import Subject

FileKind = Literal["file", "directory", "symlink", "other"]

_KINDS: dict[filesystem_pb.FileType, FileKind] = {
    filesystem_pb.FileType.FILE: "file",
    filesystem_pb.FileType.DIRECTORY: "directory",
    filesystem_pb.FileType.SYMLINK: "symlink",
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Something in a sandbox's file system. `size` in bytes, `mode` the permission bits.

    `kind` is "symlink" for any link, whatever it leads to.
    """

    name: str
    path: str
    kind: FileKind
    size: int
    mode: int
    owner: str
    group: str
    modified_at: datetime | None
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
    modified = entry.modified_time
    return FileEntry(
        name=entry.name,
        path=entry.path,
        kind="symlink" if entry.is_symlink else _KINDS.get(entry.type, "other"),
        size=entry.size,
        mode=entry.mode,
        owner=entry.owner,
        group=entry.group,
        modified_at=modified.to_datetime().astimezone(UTC) if modified is not None else None,
        symlink_target=entry.symlink_target if entry.has_field("symlink_target") else None,
    )
