"""Watching a directory of a sandbox change. To watch is not activity."""

import posixpath
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.files.bounds import require_valid_path
from commandcenter.providers import files, watching
from commandcenter.providers.watching import FileEventKind
from commandcenter.sandboxes.attachments import attach_by_id
from commandcenter.services import Services


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Something that happened to the entry at `path`, seen `at` that time."""

    kind: FileEventKind
    path: str
    at: datetime


async def watch_files(
    services: Services, scope: Scope, sandbox_id: UUID, path: str, *, recursive: bool = False
) -> AsyncGenerator[FileEvent, None]:
    """What changes in a directory from now on, and with `recursive` below it.

    It ends with an error: `WRONG_STATE` when the sandbox does not run any more, `PROVIDER_UNAVAILABLE` when
    changes came faster than they were taken.
    """
    require_valid_path(path)
    attachment = await attach_by_id(services, scope, sandbox_id)
    directory = (await files.stat(attachment, path)).path
    async with await watching.watch(attachment, path, recursive=recursive) as changes:
        async for change in changes:
            yield FileEvent(change.kind, posixpath.normpath(posixpath.join(directory, change.name)), now())
