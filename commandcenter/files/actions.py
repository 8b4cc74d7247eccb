"""Changing a sandbox's files. Each change is activity of the sandbox, and an event of its audit trail."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from commandcenter.access.scope import Role, Scope
from commandcenter.events.actions import record_event
from commandcenter.files.bounds import require_valid_path
from commandcenter.files.errors import DestinationExistsError
from commandcenter.providers import files, transfers
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.errors import FileNotFoundInSandboxError, NotADirectoryInSandboxError
from commandcenter.providers.files import FileEntry
from commandcenter.sandboxes.activity import in_use, use_sandbox
from commandcenter.sandboxes.attachments import attach
from commandcenter.services import Services

Result = TypeVar("Result")


async def write_file(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    path: str,
    data: bytes | AsyncIterator[bytes],
    *,
    mode: int | None = None,
) -> FileEntry:
    """Put `data` into a file, in place of what it held, making missing parents.

    `mode` sets the permission bits. Where the source fails, its own error is raised, and nothing is written.
    """
    scope.require(Role.OPERATOR)
    require_valid_path(path)
    work = _write(services, scope, sandbox_id, path, data, mode)
    # A source that streams is tied to its request: without it, there is nothing to go on with.
    return await (_finish(services, work) if isinstance(data, bytes) else work)


async def make_directory(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> FileEntry:
    """Make a directory with its missing parents; `FileExistsInSandboxError` where it is there."""
    scope.require(Role.OPERATOR)
    require_valid_path(path)
    return await _finish(services, _make_directory(services, scope, sandbox_id, path))


async def move_file(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    path: str,
    destination: str,
    *,
    overwrite: bool = False,
) -> FileEntry:
    """Rename a file or directory; `destination` is its new path, not the directory to put it into.

    `DestinationExistsError` where something is there, unless it shall be overwritten.
    """
    scope.require(Role.OPERATOR)
    require_valid_path(path)
    require_valid_path(destination, "destination")
    work = _move_file(services, scope, sandbox_id, path, destination, overwrite=overwrite)
    return await _finish(services, work)


async def remove_file(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> FileEntry:
    """Remove a file, or a directory with all that it holds; returns what was there.

    `FileNotFoundInSandboxError` where nothing was.
    """
    scope.require(Role.OPERATOR)
    require_valid_path(path)
    return await _finish(services, _remove_file(services, scope, sandbox_id, path))


async def _write(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    path: str,
    data: bytes | AsyncIterator[bytes],
    mode: int | None,
) -> FileEntry:
    async with _using(services, scope, sandbox_id) as attachment:
        entry = await transfers.write(attachment, path, data, mode=mode)
    await _record(services, scope, sandbox_id, "file.written", path=entry.path, size=entry.size)
    return entry


async def _make_directory(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> FileEntry:
    async with _using(services, scope, sandbox_id) as attachment:
        entry = await files.make_directory(attachment, path)
    await _record(services, scope, sandbox_id, "file.directory_made", path=entry.path)
    return entry


async def _move_file(
    services: Services, scope: Scope, sandbox_id: UUID, path: str, destination: str, *, overwrite: bool
) -> FileEntry:
    async with _using(services, scope, sandbox_id) as attachment:
        source = await files.stat(attachment, path)
        if not overwrite and await _is_there(attachment, destination):
            raise DestinationExistsError(destination)
        entry = await files.move(attachment, path, destination)
    await _record(services, scope, sandbox_id, "file.moved", path=source.path, destination=entry.path)
    return entry


async def _remove_file(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> FileEntry:
    async with _using(services, scope, sandbox_id) as attachment:
        entry = await files.stat(attachment, path)
        await files.remove(attachment, path)
    await _record(services, scope, sandbox_id, "file.removed", path=entry.path)
    return entry


@asynccontextmanager
async def _using(services: Services, scope: Scope, sandbox_id: UUID) -> AsyncIterator[Attachment]:
    sandbox = await use_sandbox(services, scope, sandbox_id)
    attachment = attach(services, sandbox)
    async with in_use(services, scope, sandbox):
        yield attachment


async def _is_there(attachment: Attachment, path: str) -> bool:
    try:
        await files.stat(attachment, path)
    except (FileNotFoundInSandboxError, NotADirectoryInSandboxError):
        return False
    return True


async def _record(services: Services, scope: Scope, sandbox_id: UUID, kind: str, **data: object) -> None:
    async with services.database.transaction(scope.project_id) as session:
        record_event(session, scope, kind, sandbox_id, sandbox_id=sandbox_id, **data)


async def _finish(services: Services, work: Coroutine[Any, Any, Result]) -> Result:
    """Bring a change to its end with its event, also where the caller goes away meanwhile."""
    return await asyncio.shield(services.background.start(work, "change-files"))
