"""The contents of a sandbox's files: any bytes, any size, in flat memory."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

import httpx
from e2b.envd.api import ENVD_API_FILES_ROUTE, get_message
from e2b.envd.versions import ENVD_OCTET_STREAM_UPLOAD
from e2b.exceptions import is_sandbox_not_found_message

from commandcenter.errors import DomainError
from commandcenter.providers.answers import retry_after
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    FileAccessDeniedError,
    FileNotFoundInSandboxError,
    FileRefusedError,
    NoSpaceInSandboxError,
    ProviderRefusedError,
)
from commandcenter.providers.files import FileEntry, stat
from commandcenter.providers.mapping import Subject, file_error
from commandcenter.providers.phrasing import rate_limited, refused, timed_out, unavailable
from commandcenter.providers.processes import start_program

_STALLED_SECONDS = 60.0
_PIECE_BYTES = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:\d+-\d+|\*)/(?P<size>\d+)")


class FileContent:
    """Part of a file, as an async iterator of its bytes; close it if it is not read to its end.

    `size` is the whole file's in bytes, `length` that of this part.
    """

    def __init__(
        self, attachment: Attachment, response: httpx.Response | None, *, size: int, skip: int, length: int
    ) -> None:
        self.size = size
        self.length = length
        self._attachment = attachment
        self._response = response
        self._skip = skip

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._response is None:
            return
        left = self.length
        skip = self._skip
        chunks = self._response.aiter_raw()
        async with aclosing(self):
            while left:
                chunk = await self._next(chunks)
                piece = chunk[skip : skip + left]
                skip = max(0, skip - len(chunk))
                left -= len(piece)
                if piece:
                    yield piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._response is not None:
            await self._response.aclose()

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes:
        async with self._attachment.errors(Subject.FILE), asyncio.timeout(_STALLED_SECONDS):
            chunk = await anext(chunks, None)
            if chunk is None:
                raise unavailable(self._attachment.provider, "a download ended before the file did")
            return chunk


async def read(
    attachment: Attachment, path: str, *, start: int = 0, end: int | None = None, user: str | None = None
) -> FileContent:
    """Open a file's bytes from `start` up to, not including, `end` (None: to its end)."""
    if start < 0 or (end is not None and end < start):
        raise ProviderRefusedError(
            f"There are no bytes from {start} to {end}: start must be 0 or more, end after it."
        )
    headers = {"accept-encoding": "identity"}
    ranged = start > 0 or end is not None
    if ranged:
        headers["range"] = f"bytes={start}-{'' if end is None else max(start, end - 1)}"
    client = attachment.transfers
    request = client.build_request(
        "GET", ENVD_API_FILES_ROUTE, params=_parameters(path, user), headers=headers, timeout=None
    )
    async with attachment.errors(Subject.FILE), asyncio.timeout(attachment.request_seconds):
        response = await client.send(request, stream=True)
    if response.status_code == 416:
        await response.aclose()
        return FileContent(attachment, None, size=_whole_size(response) or 0, skip=0, length=0)
    if response.is_error:
        raise await _refusal(attachment, response)
    size = _whole_size(response)
    if size is None:
        size = (await stat(attachment, path, user=user)).size
    stop = size if end is None else min(end, size)
    skip = 0 if response.status_code == 206 else start
    return FileContent(attachment, response, size=size, skip=skip, length=max(0, stop - start))


async def write(
    attachment: Attachment,
    path: str,
    data: bytes | AsyncIterator[bytes],
    *,
    mode: int | None = None,
    user: str | None = None,
) -> FileEntry:
    """Put `data` into a file, in place of what it held, making missing parents.

    `mode` sets the permission bits. A source that fails raises its own error. Without progress for a
    minute the upload is given up.
    """
    if attachment.envd_version < ENVD_OCTET_STREAM_UPLOAD:
        raise ProviderRefusedError(
            f"The sandbox's agent ({attachment.envd_version}) is too old for uploads: rebuild its template."
        )
    source = _Source(data)
    try:
        response = await _upload(attachment, path, source, user)
    except DomainError:
        if source.error is not None:
            raise source.error from None
        raise
    if response.is_error:
        raise await _refusal(attachment, response)
    if mode is not None:
        await _set_mode(attachment, path, mode, user)
    return await stat(attachment, path, user=user)


async def _upload(attachment: Attachment, path: str, source: "_Source", user: str | None) -> httpx.Response:
    async with attachment.errors(Subject.FILE), asyncio.timeout(_STALLED_SECONDS) as patience:
        return await attachment.transfers.post(
            ENVD_API_FILES_ROUTE,
            params=_parameters(path, user),
            headers={"content-type": "application/octet-stream"},
            content=source.chunks(patience),
            timeout=None,
        )


class _Source:
    """What is uploaded, remembering an error of its own: the transport would replace it."""

    def __init__(self, data: bytes | AsyncIterator[bytes]) -> None:
        self.error: Exception | None = None
        self._data = _pieces(data) if isinstance(data, bytes) else data

    async def chunks(self, patience: asyncio.Timeout) -> AsyncIterator[bytes]:
        """The data, each chunk renewing `patience`."""
        clock = asyncio.get_running_loop().time
        try:
            async for chunk in self._data:
                if not patience.expired():
                    patience.reschedule(clock() + _STALLED_SECONDS)
                yield chunk
        except Exception as error:
            self.error = error
            raise


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for position in range(0, len(data), _PIECE_BYTES):
        yield data[position : position + _PIECE_BYTES]


async def _set_mode(attachment: Attachment, path: str, mode: int, user: str | None) -> None:
    # E2B's protocol has no call for it.
    target = (await stat(attachment, path, user=user)).path
    changer = await start_program(attachment, ["/bin/chmod", f"{mode & 0o7777:o}", "--", target], user=user)
    async with changer:
        async for event in changer:
            if isinstance(event, Ended) and event.exit_code != 0:
                raise FileAccessDeniedError(f"The mode of {target} can't be set.")


def _parameters(path: str, user: str | None) -> dict[str, str]:
    return {"path": path, "username": user} if user else {"path": path}


def _whole_size(response: httpx.Response) -> int | None:
    """The size of the whole file, where the headers of the answer tell it."""
    ranged = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
    told = ranged["size"] if ranged else response.headers.get("content-length")
    return int(told) if told is not None else None


async def _refusal(attachment: Attachment, response: httpx.Response) -> DomainError:
    provider = attachment.provider
    try:
        async with attachment.errors(Subject.FILE), asyncio.timeout(attachment.request_seconds):
            await response.aread()
    finally:
        await response.aclose()
    words = get_message(response) or f"HTTP {response.status_code}"
    match response.status_code:
        case 404:
            return FileNotFoundInSandboxError(words)
        case 403:
            return FileAccessDeniedError(words)
        case 429:
            return rate_limited(provider, words, retry_after_seconds=retry_after(response.headers))
        case 502 if is_sandbox_not_found_message(words):
            return await attachment.gone()
        case 504:
            return timed_out(provider, words)
        case 507:
            return NoSpaceInSandboxError(words)
        case 502 | 503:
            return unavailable(provider, words, retry_after_seconds=retry_after(response.headers))
    if found := file_error(words):
        return found
    if response.status_code == 400:
        return FileRefusedError(words)
    return unavailable(provider, words) if response.status_code >= 500 else refused(provider, words)
