"""What one can do to files, and how to see them change."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from resolvers import files
from resolvers.context import Info
from resolvers.files import FileView
from resolvers.outcomes import Outcome
from schema.arguments import Input, SandboxId
from schema.errors import UserError, user_errors
from schema.files import FileEntry, FileEvent, Path, Recursive
from schema.views import view


@strawberry.input(
    description="A file's new content: one of `text` and `base64`. Send larger ones by `PUT /files`."
)
class WriteFileInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    path: str = strawberry.field(description="Where to; missing directories are made.")
    text: str | None = strawberry.field(default=None, description="Text, written as UTF-8.")
    base64: str | None = strawberry.field(default=None, description="Bytes.")
    mode: str | None = strawberry.field(
        default=None,
        description="Permission bits as octal digits, such as `755`; unless given, a file keeps its own.",
    )


@strawberry.input(description="A directory to make.")
class MakeDirectoryInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    path: str = strawberry.field(description="Where; missing directories above it are made.")


@strawberry.input(description="A new path for a file or directory.")
class MoveFileInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    path: str = strawberry.field(description="Where it is.")
    destination: str = strawberry.field(
        description="Its new path, not the directory to put it into; missing directories are made."
    )
    overwrite: bool = strawberry.field(
        default=False, description="Whether it may take the place of what is there."
    )


@strawberry.input(description="What to remove.")
class RemoveFileInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    path: str = strawberry.field(description="Where it is; a directory goes with all that it holds.")


@strawberry.type(description="What came of a change to a file.")
class FilePayload:
    file: FileEntry | None = strawberry.field(description="The file; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of removing a file.")
class RemoveFilePayload:
    file: FileEntry | None = strawberry.field(description="What was there; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _entry(outcome: Outcome[FileView]) -> FileEntry | None:
    return view(FileEntry, outcome.value) if outcome.value else None


def _payload(outcome: Outcome[FileView]) -> FilePayload:
    return FilePayload(file=_entry(outcome), user_errors=user_errors(outcome.errors))


@strawberry.type
class FileMutations:
    @strawberry.mutation(description="Put content into a file, in place of what it held.")
    async def write_file(self, info: Info, input: Input[WriteFileInput]) -> FilePayload:
        return _payload(
            await files.write(info, input.sandbox_id, input.path, input.text, input.base64, input.mode)
        )

    @strawberry.mutation(description="Make a directory.")
    async def make_directory(self, info: Info, input: Input[MakeDirectoryInput]) -> FilePayload:
        return _payload(await files.make_directory(info, input.sandbox_id, input.path))

    @strawberry.mutation(description="Give a file or directory another path.")
    async def move_file(self, info: Info, input: Input[MoveFileInput]) -> FilePayload:
        return _payload(
            await files.move(info, input.sandbox_id, input.path, input.destination, overwrite=input.overwrite)
        )

    @strawberry.mutation(description="Remove a file, or a directory with all that it holds.")
    async def remove_file(self, info: Info, input: Input[RemoveFileInput]) -> RemoveFilePayload:
        outcome = await files.remove(info, input.sandbox_id, input.path)
        return RemoveFilePayload(file=_entry(outcome), user_errors=user_errors(outcome.errors))


@strawberry.type
class FileSubscriptions:
    @strawberry.subscription(
        description="What changes in a directory from now on; with `recursive` also below it. Ends with an "
        "error when its sandbox stops."
    )
    async def file_events(
        self, info: Info, sandbox_id: SandboxId, path: Path, recursive: Recursive = False
    ) -> AsyncGenerator[FileEvent, None]:
        async with aclosing(files.events(info, sandbox_id, path, recursive=recursive)) as events:
            async for event in events:
                yield view(FileEvent, event)
