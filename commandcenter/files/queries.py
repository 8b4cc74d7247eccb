"""Looking at a sandbox's files. To look is not activity: a sandbox that is only looked at becomes idle."""

import codecs
from dataclasses import dataclass

from commandcenter.files.bounds import (
    LONGEST_LISTING,
    require_valid_depth,
    require_valid_limit,
    require_valid_path,
    require_valid_text_size,
)
from commandcenter.files.errors import ListingTooLongError
from commandcenter.providers import files, transfers
from commandcenter.providers.errors import (
    FileNotFoundInSandboxError,
    NotADirectoryInSandboxError,
    NotAFileError,
)
from commandcenter.providers.files import FileEntry
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services


@dataclass(frozen=True, slots=True)
class Listing:
    """What of a directory is meant: down to `depth` levels, at most `limit` entries, those `after` a path."""

    path: str
    depth: int = 1
    limit: int | None = None
    after: str | None = None


async def list_files(services: Services, sandbox: Sandbox, listing: Listing) -> list[FileEntry]:
    """What a directory holds, by path, each directory before what it holds.

    `ListingTooLongError` where it is more than one answer may hold, and no limit is given.
    """
    require_valid_path(listing.path)
    require_valid_depth(listing.depth)
    require_valid_limit(listing.limit)
    entries = await files.list_directory(attach(services, sandbox), listing.path, depth=listing.depth)
    if listing.after is not None:
        last = _place(listing.after)
        entries = [entry for entry in entries if _place(entry.path) > last]
    if listing.limit is None and len(entries) > LONGEST_LISTING:
        raise ListingTooLongError(listing.path, LONGEST_LISTING)
    return sorted(entries, key=lambda entry: _place(entry.path))[: listing.limit]


def _place(path: str) -> list[str]:
    """What sorts paths so that a directory comes before what it holds, and that before its neighbours."""
    return path.split("/")


async def find_file(services: Services, sandbox: Sandbox, path: str) -> FileEntry | None:
    """What is at `path`, a link itself rather than what it leads to; None where nothing is."""
    require_valid_path(path)
    try:
        return await files.stat(attach(services, sandbox), path)
    except (FileNotFoundInSandboxError, NotADirectoryInSandboxError):
        return None


async def read_text(services: Services, sandbox: Sandbox, path: str, most_bytes: int) -> str | None:
    """The beginning of a file as text, cut between characters; None where it is no file or no UTF-8."""
    require_valid_path(path)
    require_valid_text_size(most_bytes)
    try:
        content = await transfers.read(attach(services, sandbox), path, end=most_bytes)
        async with content:
            data = b"".join([chunk async for chunk in content])
    except (FileNotFoundInSandboxError, NotAFileError):
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # What is left of a character is its beginning only where the file goes on after it.
        return decoder.decode(data, final=len(data) == content.size)
    except UnicodeDecodeError:
        return None
