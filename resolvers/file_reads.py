"""Looking at files for one operation, within bounds: a few reads at a time, so much in all.

A query may ask for the files of many sandboxes, and for the text of each file; what it asks for is known
only as it is found. A subscription asks again with each of its results, so its allowances come back.
"""

import asyncio
import time

from commandcenter.errors import InvalidError
from commandcenter.files.queries import Listing, find_file, list_files, read_text
from commandcenter.providers.files import FileEntry
from commandcenter.sandboxes.records import Sandbox
from commandcenter.services import Services

_READS_AT_ONCE = 4
_MOST_ENTRIES = 10_000
_MOST_TEXT_BYTES = 16 * 1024 * 1024
_LEAST_TEXT_COST = 4096
_RENEWED_AFTER_SECONDS = 30.0


class FileReads:
    """The looks of one operation at files."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(_READS_AT_ONCE)
        self._entries = _Allowance(
            _MOST_ENTRIES, "entries of directories. List with a smaller depth, or fewer directories."
        )
        self._text_bytes = _Allowance(
            _MOST_TEXT_BYTES, "bytes of text. Ask for the text of fewer files, or for downloadUrl."
        )

    async def list(self, sandbox: Sandbox, listing: Listing) -> list[FileEntry]:
        """What a directory holds."""
        async with self._turns:
            self._entries.require_some()
            entries = await list_files(self._services, sandbox, listing)
            self._entries.spend(len(entries))
        return entries

    async def find(self, sandbox: Sandbox, path: str) -> FileEntry | None:
        """What is at a path."""
        async with self._turns:
            return await find_file(self._services, sandbox, path)

    async def text(self, sandbox: Sandbox, path: str, most_bytes: int) -> str | None:
        """The beginning of a file as text."""
        async with self._turns:
            self._text_bytes.require_some()
            text = await read_text(self._services, sandbox, path, most_bytes)
            self._text_bytes.spend(max(len(text or ""), _LEAST_TEXT_COST))
        return text


class _Allowance:
    """How much of something one operation may have until it is renewed; passed by one answer at most."""

    def __init__(self, amount: int, of_what: str) -> None:
        self._amount = amount
        self._of_what = of_what
        self._left = amount
        self._renewed_at = time.monotonic()

    def require_some(self) -> None:
        """Refuse where nothing is left."""
        if time.monotonic() >= self._renewed_at + _RENEWED_AFTER_SECONDS:
            self._left = self._amount
            self._renewed_at = time.monotonic()
        if self._left <= 0:
            raise InvalidError(f"One operation gets at most {self._amount} {self._of_what}")

    def spend(self, amount: int) -> None:
        """Note what was given."""
        self._left -= amount
