"""What is in volumes, as E2B's clients ask for it: by the volume's token, from outside any sandbox."""

import asyncio
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runtime.control_plane.answers import moment
from runtime.control_plane.bodies import (
    VolumeFolder,
    VolumeListing,
    VolumeOwner,
    VolumePath,
    read_body,
    read_query,
)
from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.volumes.errors import VolumeTokenError
from runtime.volumes.store import VolumeStore
from runtime.volumes.tree import Entry, Owner, VolumeTree

PREFIX = "/volumecontent/"
CHUNK = 1 << 18
LARGEST_UPLOAD = 64 << 30
SILENCE_SECONDS = 120

T = TypeVar("T")


class VolumeContentEndpoints:
    """The endpoints; `routes` says where each is."""

    def __init__(self, volumes: VolumeStore) -> None:
        self._volumes = volumes

    def routes(self) -> list[Route]:
        """The paths."""
        one = PREFIX + "{id}"
        return [
            Route(one + "/path", self.stat, methods=["GET"]),
            Route(one + "/path", self.update, methods=["PATCH"]),
            Route(one + "/path", self.remove, methods=["DELETE"]),
            Route(one + "/dir", self.list_folder, methods=["GET"]),
            Route(one + "/dir", self.make_folder, methods=["POST"]),
            Route(one + "/file", self.read, methods=["GET"]),
            Route(one + "/file", self.write, methods=["PUT"]),
        ]

    async def stat(self, request: Request) -> Response:
        """What is at a path."""
        wanted = read_query(request, VolumePath)
        return JSONResponse(_row(await asyncio.to_thread(self._tree(request).stat, wanted.path)))

    async def update(self, request: Request) -> Response:
        """Change owner or mode."""
        tree, wanted = self._tree(request), read_query(request, VolumePath)
        owner = _owner(await read_body(request, VolumeOwner))
        return JSONResponse(_row(await asyncio.to_thread(tree.update, wanted.path, owner)))

    async def remove(self, request: Request) -> Response:
        """Remove what is at a path, with all below it."""
        wanted = read_query(request, VolumePath)
        await asyncio.to_thread(self._tree(request).remove, wanted.path)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def list_folder(self, request: Request) -> Response:
        """What is in a folder."""
        wanted = read_query(request, VolumeListing)
        found = await asyncio.to_thread(self._tree(request).list_folder, wanted.path, wanted.depth)
        return JSONResponse(await asyncio.to_thread(lambda: [_row(each) for each in found]))

    async def make_folder(self, request: Request) -> Response:
        """Make a folder."""
        tree, wanted = self._tree(request), read_query(request, VolumeFolder)
        make: Callable[[], Entry] = lambda: tree.make_folder(  # noqa: E731
            wanted.path, _owner(wanted), parents=wanted.force
        )
        return JSONResponse(_row(await asyncio.to_thread(make)), HTTPStatus.CREATED)

    async def read(self, request: Request) -> Response:
        """A file's content."""
        wanted = read_query(request, VolumePath)
        return FileContent(await asyncio.to_thread(self._tree(request).open, wanted.path))

    async def write(self, request: Request) -> Response:
        """A file of the request's body; it is there when it is whole."""
        tree, wanted = self._tree(request), read_query(request, VolumeFolder)
        owner = _owner(wanted)
        written = await asyncio.to_thread(lambda: tree.begin_file(wanted.path, owner, parents=wanted.force))
        try:
            async for part in _parts(request):
                await asyncio.to_thread(_write_all, written, part)
            entry = await asyncio.to_thread(
                lambda: tree.finish_file(wanted.path, written, owner, replace=wanted.force)
            )
        finally:
            os.close(written)
        return JSONResponse(_row(entry), HTTPStatus.CREATED)

    def _tree(self, request: Request) -> VolumeTree:
        volume = self._volumes.get(request.path_params["id"])
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.encode(), volume.token.encode()):
            raise VolumeTokenError(f"The token is not that of volume {volume.id}; connect to it to get it")
        return VolumeTree(self._volumes.files(volume.id))


class FileContent(Response):
    """An open file as a response; it is closed in the end, however that comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = os.fstat(descriptor).st_size
        super().__init__(media_type="application/octet-stream")
        self.headers["content-length"] = str(self._left)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; one that became shorter meanwhile breaks off rather than end as if it were whole."""
        try:
            head = {"type": "http.response.start", "status": HTTPStatus.OK, "headers": self.raw_headers}
            await send(head)
            while self._left:
                part = await asyncio.to_thread(os.read, self._descriptor, min(CHUNK, self._left))
                if not part:
                    raise StreamAbortedError("a file of a volume became shorter while it was read")
                self._left -= len(part)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            os.close(self._descriptor)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    """The body in larger parts, with bounds on its size and on silence."""
    stream = aiter(request.stream())
    pending, total = bytearray(), 0
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                part = await anext(stream, None)
        except ClientDisconnect:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "The body broke off.") from None
        except TimeoutError:
            message = f"The body stopped for {SILENCE_SECONDS} s."
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, message, {"Connection": "close"}) from None
        if part is None:
            break
        pending += part
        total += len(part)
        if total > LARGEST_UPLOAD:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A file has {LARGEST_UPLOAD} bytes at most."
            )
        if len(pending) >= CHUNK:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _owner(wanted: VolumeOwner) -> Owner:
    return Owner(wanted.uid, wanted.gid, wanted.mode)


def _row(entry: Entry) -> dict[str, Any]:
    user, group = entry.owner
    found = entry.found
    row = {
        "name": _text(entry.name),
        "type": _kind(found.st_mode),
        "path": _text(entry.path),
        "size": found.st_size,
        "mode": stat.S_IMODE(found.st_mode),
        "uid": user,
        "gid": group,
        "atime": _moment(found.st_atime),
        "mtime": _moment(found.st_mtime),
        "ctime": _moment(found.st_ctime),
    }
    return row if entry.target is None else row | {"target": _text(entry.target)}


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "symlink"))
    return next((name for test, name in kinds if test(mode)), "unknown")


def _moment(seconds: float) -> str:
    return moment(datetime.fromtimestamp(min(max(seconds, 0), 253_402_300_799), UTC))


def _text(name: str) -> str:
    """A name that may be no text: what can't be told becomes a mark."""
    return os.fsencode(name).decode(errors="replace")
