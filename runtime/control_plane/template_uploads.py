"""Where clients send the files that a build copies: a signed address, which needs no key."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.control_plane.errors import answer_host_error, refusal
from runtime.host.errors import HostError
from runtime.templates.errors import UploadRefusedError
from runtime.templates.uploads import Upload, Uploads

UPLOADS_PREFIX = "/template-files/"
WRITTEN_AT_ONCE = 1 << 20
STALLED_SECONDS = 60


class TemplateUploads:
    """`PUT /template-files/{hash}?team&until&signature` as an ASGI application."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            response = await self._put(request)
        except HostError as error:
            response = await answer_host_error(request, error)
        except ClientDisconnect:
            return
        except OSError as error:
            response = refusal(
                HTTPStatus.INSUFFICIENT_STORAGE, f"The upload could not be kept: {error.strerror}."
            )
        await response(scope, receive, send)

    async def _put(self, request: Request) -> Response:
        if request.method != "PUT":
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Send files with PUT.")
        query, files_hash = request.query_params, request.url.path.removeprefix(UPLOADS_PREFIX)
        team = query.get("team", "")
        self._uploads.check(team, files_hash, query.get("until", ""), query.get("signature", ""))
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length[:18]) > self._uploads.largest:
            raise UploadRefusedError(f"One upload has at most {self._uploads.largest} bytes.")
        await self._take(request, self._uploads.begin(team, files_hash))
        await asyncio.to_thread(self._uploads.sweep)
        return Response(status_code=HTTPStatus.OK)

    async def _take(self, request: Request, upload: Upload) -> None:
        try:
            async for part in _in_large_parts(request):
                await asyncio.to_thread(upload.write, part)
            await asyncio.to_thread(upload.keep)
        except BaseException:
            upload.drop()
            raise


async def _in_large_parts(request: Request) -> AsyncIterator[bytes]:
    """The body, in parts that are worth a thread's while; a sender may stall for a minute."""
    gathered = bytearray()
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                part = await anext(stream)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise UploadRefusedError(f"no byte of the upload came for {STALLED_SECONDS} s") from None
        gathered += part
        if len(gathered) >= WRITTEN_AT_ONCE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
