"""Watching a directory of a sandbox change. To watch is not activity."""

import asyncio
import posixpath
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.files.bounds import require_valid_path
from commandcenter.providers import files, watching
from commandcenter.providers.watching import FileChange, FileEventKind, Watch
from commandcenter.sandboxes.attachments import attach
from commandcenter.sandboxes.errors import SandboxStateError
from commandcenter.sandboxes.queries import get_sandbox
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.sandboxes.watch import wait_until_stopped
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
    async with services.database.transaction(scope.project_id) as session:
        sandbox = await get_sandbox(session, scope, sandbox_id)
    attachment = attach(services, sandbox)
    directory = (await files.stat(attachment, path)).path
    stopped = asyncio.create_task(wait_until_stopped(services, scope, sandbox), name="watch-sandbox")
    try:
        async with await watching.watch(attachment, path, recursive=recursive) as changes:
            while True:
                change = await _next_change(changes, stopped)
                place = posixpath.normpath(posixpath.join(directory, change.name))
                yield FileEvent(change.kind, place, now())
    finally:
        stopped.cancel()
        await asyncio.wait([stopped])


async def _next_change(changes: Watch, stopped: asyncio.Task[Sandbox]) -> FileChange:
    """The next change; `SandboxStateError` where the sandbox stops first: not every provider says so."""
    change = asyncio.ensure_future(anext(changes))
    try:
        await asyncio.wait([change, stopped], return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            raise SandboxStateError(stopped.result(), SandboxStatus.RUNNING)
        return change.result()
    finally:
        change.cancel()
        await asyncio.wait([change])
