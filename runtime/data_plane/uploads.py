"""`POST /files`: bodies of any size, streamed into files of a sandbox through pipes."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from runtime.data_plane.entries import metadata_of, text_of
from runtime.data_plane.file_agent_connection import (
    LONG_SECONDS,
    FileAgentConnection,
    PendingRequest,
    path_bytes,
)
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.multipart import PartBegins, PartContinues, PartEnds, PartEvent, parts_of
from runtime.data_plane.pipes import make_pipe, write_pipe

MAX_UPLOAD_BYTES = 64 * 1024**3
MAX_METADATA_BYTES = 8_192
CLIENT_STALLED_SECONDS = 120.0
DRAINED_BYTES, DRAINED_SECONDS = 8 * 1024 * 1024, 10.0

_METADATA_PREFIX = "x-metadata-"
_METADATA_VALUE = re.compile(r"[\x20-\x7e]*")
_IDENTITY, _GZIP = b"", b"gzip"


async def upload(request: Request, agent: FileAgentConnection) -> Response:
    """Write the files of a request's body; answers with what was written."""
    return JSONResponse(await _written(request, agent, _bounded(request)))


async def _written(request: Request, agent: FileAgentConnection, body: AsyncIterator[bytes]) -> list[Any]:
    metadata = _metadata(request)
    encoding = _encoding(request)
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    path = request.query_params.get("path")
    if media_type == "application/octet-stream":
        if path is None:
            message = "path query parameter is required for raw body upload"
            raise FileOperationError("invalid_argument", message)
        return [await _write(agent, path_bytes(path), encoding, body, metadata, [])]
    if not media_type.startswith("multipart/"):
        expected = "multipart/form-data or application/octet-stream"
        message = f"unsupported content type: {content_type}, expected {expected}"
        raise FileOperationError("invalid_argument", message)
    if encoding == _GZIP:
        message = "gzip is taken for application/octet-stream bodies alone"
        raise FileOperationError("invalid_argument", message)
    return await _written_parts(agent, path, metadata, parts_of(content_type, body))


async def _written_parts(
    agent: FileAgentConnection, path: str | None, metadata: list[bytes], events: AsyncIterator[PartEvent]
) -> list[Any]:
    written: list[Any] = []
    async for event in events:
        if not isinstance(event, PartBegins) or event.name != "file":
            continue
        name = path if path is not None else event.filename
        if name is None:
            raise FileOperationError("invalid_argument", "a file's part has no filename to write it to")
        earlier = [entry["path"] for entry in written]
        content = _content(events)
        written.append(await _write(agent, path_bytes(name), _IDENTITY, content, metadata, earlier))
    return written


async def _content(events: AsyncIterator[PartEvent]) -> AsyncIterator[bytes]:
    """The content of the part that has begun."""
    async for event in events:
        if isinstance(event, PartContinues):
            yield event.content
        elif isinstance(event, PartEnds):
            return


async def _write(
    agent: FileAgentConnection,
    path: bytes,
    encoding: bytes,
    content: AsyncIterator[bytes],
    metadata: list[bytes],
    earlier: list[str],
) -> dict[str, Any]:
    """Stream one file into the sandbox; it takes its place there when it is whole, and otherwise never."""
    request = await _stream(agent, path, encoding, content)
    try:
        full_path, _size = _fields(await request.answer(LONG_SECONDS), 2)
        shown = text_of(full_path)
        if shown in earlier:
            agent.undo(request)
            raise _written_twice(shown, earlier)
        kept = metadata_of(await agent.ask("commit", request.number, *metadata))
    finally:
        agent.forget(request)
    entry: dict[str, Any] = {"path": shown, "name": text_of(full_path.rpartition(b"/")[2]), "type": "file"}
    return entry | ({"metadata": kept} if kept else {})


async def _stream(
    agent: FileAgentConnection, path: bytes, encoding: bytes, content: AsyncIterator[bytes]
) -> PendingRequest:
    """Have the agent take the content; its answer then says how that went."""
    read_end, write_end = make_pipe()
    try:
        try:
            request = agent.send("receive", path, encoding, pipe=read_end)
        finally:
            os.close(read_end)
        try:
            async for chunk in content:
                await write_pipe(write_end, chunk)
        except BrokenPipeError:
            return request  # the agent refused, and its answer says why
        except BaseException:
            agent.forget(request)
            raise
    finally:
        os.close(write_end)
    return request


def _fields(answer: list[bytes], count: int) -> list[bytes]:
    if len(answer) != count:
        raise FileOperationError(
            "internal", "the sandbox's file agent gave another answer than was asked for"
        )
    return answer


def _written_twice(path: str, earlier: list[str]) -> FileOperationError:
    others = [each for each in earlier if each != path]
    message = (
        f"you cannot upload multiple files to the same path '{path}' in one upload request, "
        "only the first specified file was uploaded"
    )
    if others:
        message += f", also the following files were uploaded: {', '.join(others)}"
    return FileOperationError("invalid_argument", message)


def _encoding(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").partition(";")[0].strip().lower()
    if encoding in ("", "identity"):
        return _IDENTITY
    if encoding == "gzip":
        return _GZIP
    message = f"error decompressing request body: unsupported Content-Encoding: {encoding}, supported: gzip"
    raise FileOperationError("invalid_argument", message)


def _metadata(request: Request) -> list[bytes]:
    """The caller's metadata from `X-Metadata-…` headers, keys and values by turns."""
    fields: list[bytes] = []
    for name, value in request.headers.items():
        key = name.lower().removeprefix(_METADATA_PREFIX)
        if key == name.lower() or not key:
            continue
        if not _METADATA_VALUE.fullmatch(value):
            message = f"the metadata value of '{key}' must be printable ASCII"
            raise FileOperationError("invalid_argument", message)
        fields += [key.encode("ascii", "replace"), value.encode()]
    if sum(map(len, fields)) > MAX_METADATA_BYTES:
        raise FileOperationError(
            "invalid_argument", f"metadata can't be longer than {MAX_METADATA_BYTES} bytes"
        )
    return fields


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, bounded in size, and in the time that its sender may stall."""
    length = request.headers.get("content-length", "0")
    received = int(length) if length.isdigit() and len(length) < 19 else 0
    _refuse_more_than_allowed(received)
    received = 0
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(CLIENT_STALLED_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"no byte of the body came for {CLIENT_STALLED_SECONDS:g} s"
            raise FileOperationError("client_stalled", message) from None
        received += len(chunk)
        _refuse_more_than_allowed(received)
        if chunk:
            yield chunk


def _refuse_more_than_allowed(size: int) -> None:
    if size > MAX_UPLOAD_BYTES:
        raise FileOperationError("too_large", f"one request can carry at most {MAX_UPLOAD_BYTES} bytes")


async def drain(request: Request) -> None:
    """Take what a refused sender still has under way, within bounds, so that it reads the answer."""
    drained = 0
    # Of a stream that was read to its end, Starlette says RuntimeError.
    with contextlib.suppress(TimeoutError, RuntimeError, ClientDisconnect):
        async with asyncio.timeout(DRAINED_SECONDS):
            async for chunk in request.stream():
                drained += len(chunk)
                if drained > DRAINED_BYTES:
                    return
