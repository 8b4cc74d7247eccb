"""Taking bytes out of a sandbox: any file, any size, in flat memory."""

from collections.abc import AsyncGenerator
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.files.bounds import require_valid_path
from commandcenter.providers import transfers
from commandcenter.providers.transfers import FileContent
from commandcenter.sandboxes.activity import in_use, use_sandbox
from commandcenter.sandboxes.attachments import attach, attach_by_id
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services


class Download:
    """Part of a file: read its pieces, or close it.

    `size` is the whole file's in bytes, `length` that of this part.
    """

    def __init__(self, services: Services, scope: Scope, sandbox: Sandbox, content: FileContent) -> None:
        self.size = content.size
        self.length = content.length
        self._services = services
        self._scope = scope
        self._sandbox = sandbox
        self._content = content

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes, piece by piece; to read them is activity of the sandbox."""
        async with in_use(self._services, self._scope, self._sandbox), self._content as content:
            async for piece in content:
                yield piece

    async def aclose(self) -> None:
        """Let go of what is not read."""
        await self._content.aclose()


async def open_download(
    services: Services,
    scope: Scope,
    sandbox_id: UUID,
    path: str,
    *,
    start: int = 0,
    end: int | None = None,
) -> Download:
    """Open a file's bytes from `start` up to, not including, `end` (None: to its end)."""
    require_valid_path(path)
    sandbox = await use_sandbox(services, scope, sandbox_id)
    content = await transfers.read(attach(services, sandbox), path, start=start, end=end)
    return Download(services, scope, sandbox, content)


async def measure_file(services: Services, scope: Scope, sandbox_id: UUID, path: str) -> int:
    """The size in bytes of what a download of `path` would give, links followed. To look is not activity."""
    require_valid_path(path)
    attachment = await attach_by_id(services, scope, sandbox_id)
    async with await transfers.read(attachment, path, end=0) as content:
        return content.size
