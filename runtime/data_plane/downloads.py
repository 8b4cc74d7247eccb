"""`GET /files`: files of any size, whole, in part, or packed, streamed out of a sandbox through a pipe."""

import asyncio
import mimetypes
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from runtime.data_plane.file_agent_connection import (
    LONG_SECONDS,
    FileAgentConnection,
    PendingRequest,
    number_in,
    path_bytes,
)
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.pipes import make_pipe, read_pipe

CLIENT_STALLED_SECONDS = 120.0

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class TruncatedDownloadError(Exception):
    """A file became shorter, or its sandbox ended, after its length was told: the connection must break."""


@dataclass(frozen=True)
class OpenedFile:
    """A file that the agent opened: `size` in bytes, when it was modified in seconds since 1970."""

    request: PendingRequest
    size: int
    modified: int


@dataclass(frozen=True)
class Part:
    """Which bytes of a file to send, and how."""

    offset: int
    length: int
    gzipped: bool = False


async def download(request: Request, agent: FileAgentConnection) -> Response:
    """Answer with a file's content."""
    path = request.query_params.get("path", "")
    opened = await _open(agent, path_bytes(path))
    try:
        response = _response(request, agent, path, opened)
        if isinstance(response, FileResponse) and request.method != "HEAD":
            await response.begin()
    except BaseException:
        agent.undo(opened.request)
        raise
    return response


def _response(request: Request, agent: FileAgentConnection, path: str, opened: OpenedFile) -> Response:
    name = path.rpartition("/")[2]
    modified = formatdate(opened.modified, usegmt=True)
    headers = {
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name, safe='', errors='replace')}",
        "Content-Security-Policy": "sandbox",
        "Last-Modified": modified,
        "Vary": "Accept-Encoding",
        "Accept-Ranges": "bytes",
    }
    if _is_unmodified(request, opened.modified):
        agent.undo(opened.request)
        return Response(status_code=304, headers=headers)
    part, status = Part(0, opened.size), 200
    wanted = request.headers.get("range")
    if wanted is not None and request.headers.get("if-range", modified) == modified:
        found = _range(wanted, opened.size)
        if found is not None:
            part, status = found, 206
            last = part.offset + part.length - 1
            headers["Content-Range"] = f"bytes {part.offset}-{last}/{opened.size}"
    elif wanted is None and request.headers.get("accept-encoding", "").strip().lower() == "gzip":
        part = Part(0, opened.size, gzipped=True)
        headers["Content-Encoding"] = "gzip"
    if not part.gzipped:
        headers["Content-Length"] = str(part.length)
    media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return FileResponse(agent, opened.request, part, status, headers, media_type)


async def _open(agent: FileAgentConnection, path: bytes) -> OpenedFile:
    request = agent.send("open", path)
    try:
        fields = await request.answer(LONG_SECONDS)
    finally:
        agent.forget(request)
    if len(fields) != 2:
        raise FileOperationError("internal", "the sandbox's file agent opened no file")
    modified = int(fields[1]) // 1_000_000_000 if re.fullmatch(rb"-?\d{1,20}", fields[1]) else 0
    return OpenedFile(request, number_in(fields[0]), max(modified, 0))


def _is_unmodified(request: Request, modified: int) -> bool:
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return modified <= parsedate_to_datetime(since).timestamp()
    except ValueError:
        return False


def _range(wanted: str, size: int) -> Part | None:
    """The one range asked for; None where there are several or another unit, which are served whole."""
    match = _RANGE.fullmatch(wanted.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < first:
            return None
    else:
        first, last = max(size - int(match[2]), 0), size - 1
    if first >= size or (not match[1] and match[2].strip("0") == ""):
        raise RangeError(size)
    return Part(first, last - first + 1)


class RangeError(FileOperationError):
    """A range that begins behind the end of the file."""

    def __init__(self, size: int) -> None:
        super().__init__("invalid_argument", f"the range lies outside the file's {size} bytes")
        self.size = size

    @property
    def status(self) -> int:
        """416: the range can't be satisfied."""
        return 416


class FileResponse(StreamingResponse):
    """Streams a part of an opened file, and lets go of it however that ends."""

    def __init__(
        self,
        agent: FileAgentConnection,
        opened: PendingRequest,
        part: Part,
        status: int,
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        self._agent = agent
        self._opened = opened
        self._content = self._body(part)
        super().__init__(self._content, status, headers, media_type)

    async def begin(self) -> None:
        """Get the first piece, so that what goes wrong until then can still be said; FileOperationError."""
        first = await anext(self._content, b"")
        self.body_iterator = self._after(first)

    async def _after(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        try:
            async for chunk in self._content:
                yield chunk
        except FileOperationError as error:
            raise TruncatedDownloadError(error.message) from error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; a client that takes nothing for too long is cut."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(CLIENT_STALLED_SECONDS):
                await send(message)

        try:
            if scope["method"] == "HEAD":
                await Response(None, self.status_code, dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send_in_time)
        finally:
            self._agent.undo(self._opened)

    async def _body(self, part: Part) -> AsyncIterator[bytes]:
        read_end, write_end = make_pipe()
        try:
            try:
                request = self._send(part, write_end)
            finally:
                os.close(write_end)
            try:
                left = part.length
                async for chunk in read_pipe(read_end):
                    left -= len(chunk)
                    if left < 0 and not part.gzipped:
                        break
                    yield chunk
                sent = await request.answer(LONG_SECONDS)
            finally:
                self._agent.forget(request)
            if sent != [b"%d" % part.length] or (left and not part.gzipped):
                raise FileOperationError("internal", "the file changed its length while it was read")
        finally:
            os.close(read_end)

    def _send(self, part: Part, pipe: int) -> PendingRequest:
        encoding = b"gzip" if part.gzipped else b""
        numbers = (b"%d" % part.offset, b"%d" % part.length)
        return self._agent.send("send", self._opened.number, *numbers, encoding, pipe=pipe)
