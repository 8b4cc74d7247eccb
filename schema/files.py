"""Files: what a sandbox's file system holds, and what happens to it."""

from datetime import datetime
from typing import Annotated

import strawberry

from commandcenter.files.bounds import LARGEST_TEXT_BYTES
from commandcenter.providers.files import FileKind
from commandcenter.providers.watching import FileEventKind
from resolvers import files
from resolvers.context import Info
from schema.costs import ASKS_PROVIDER
from schema.enums import describe_enum
from schema.scalars import BigInt

Path = Annotated[str, strawberry.argument(description="A path; a relative one begins at home.")]
Depth = Annotated[int, strawberry.argument(description="How many levels, 1 to 10.")]
Limit = Annotated[int | None, strawberry.argument(description="At most so many entries.")]
AfterPath = Annotated[
    str | None, strawberry.argument(description="Begin after this path, the last of the page before.")
]
MaxBytes = Annotated[
    int, strawberry.argument(description=f"At most so many bytes, 1 to {LARGEST_TEXT_BYTES}.")
]
Recursive = Annotated[bool, strawberry.argument(description="Whether what is below counts too.")]

describe_enum(
    FileKind,
    "What an entry of a file system is.",
    {
        "FILE": "A file.",
        "DIRECTORY": "A directory.",
        "SYMLINK": "A symbolic link, whatever it leads to.",
        "OTHER": "A pipe, a socket or a device.",
    },
)

describe_enum(
    FileEventKind,
    "What happened to an entry of a file system.",
    {
        "CREATED": "It came to be, under this name.",
        "WRITTEN": "Its content changed.",
        "REMOVED": "It was removed.",
        "RENAMED": "It went away from this name; under its new one it is CREATED.",
        "MODE_CHANGED": "Its permissions or its times changed.",
    },
)


@strawberry.type(description="Something in a sandbox's file system.")
class FileEntry:
    name: str = strawberry.field(
        description="The last part of its path; bytes that are no UTF-8 are replacement characters."
    )
    path: str = strawberry.field(description="Where it is, from the root.")
    kind: FileKind = strawberry.field(description="What it is.")
    size: BigInt = strawberry.field(description="Its size in bytes; that of a link is its target's name's.")
    mode: str = strawberry.field(description="Its permission bits as four octal digits, such as `0644`.")
    owner: str = strawberry.field(description="The user whose it is.")
    modified_at: datetime = strawberry.field(description="When its content changed last.")
    symlink_target: str | None = strawberry.field(description="Where a link leads.")
    download_url: str = strawberry.field(
        resolver=files.download_url,
        description="Gives its bytes to whoever has it, for ten minutes: any size, also a range of them.",
    )

    @strawberry.field(
        metadata=ASKS_PROVIDER,
        description="The beginning of its content, cut between characters; null where it is no UTF-8 text.",
    )
    async def text(self, info: Info, max_bytes: MaxBytes = LARGEST_TEXT_BYTES // 4) -> str | None:
        return await files.text_of(self, info, max_bytes)


@strawberry.type(description="Something that happened to an entry of a watched directory.")
class FileEvent:
    kind: FileEventKind = strawberry.field(description="What happened.")
    path: str = strawberry.field(description="To which entry.")
    at: datetime = strawberry.field(description="When it was seen.")
