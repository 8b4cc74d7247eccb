"""Files of any size by HTTP: `GET /files/<token>` by a signed link, `PUT /files` with a key."""

import asyncio
import posixpath
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commandcenter.access.scope import Scope
from commandcenter.errors import InvalidError
from commandcenter.files.actions import write_file
from commandcenter.files.bounds import mode_of, octal_digits
from commandcenter.files.downloads import measure_file, open_download
from commandcenter.files.links import FileLink, follow_link, link_to_file
from commandcenter.providers.files import FileEntry
from commandcenter.services import Services
from resolvers.ids import key_of
from web.attachments import attachment_headers
from web.authentication import authenticate_request, caller_address
from web.byte_stream import ByteStream
from web.parts import services_of
from web.ranges import ByteRange, parse_range
from web.rates import TRANSFER_POINTS, require_allowance
from web.refusals import RefusedRequestError, answering

STALLED_SECONDS = 30.0
_MOST_PARAMETERS = 8


@answering
async def send_file(request: Request) -> ASGIApp:
    """`GET` and `HEAD /files/<token>`: a file, or a range of its bytes."""
    services = services_of(request)
    token = request.path_params["token"]
    scope, link = await follow_link(services, token, address=caller_address(request))
    require_allowance(request, services.rates.take_request(scope, TRANSFER_POINTS))
    headers = {**attachment_headers(posixpath.basename(link.path)), "Accept-Ranges": "bytes"}
    if request.method == "HEAD":
        size = await measure_file(services, scope, link.sandbox_id, link.path)
        return Response(headers={**headers, "Content-Length": str(size)})
    # There is no validator to compare with, so a conditional range is never known to be of the same file.
    wanted = None if "if-range" in request.headers else parse_range(request.headers.get("range"))
    if wanted is None:
        whole = await open_download(services, scope, link.sandbox_id, link.path)
        return ByteStream(whole.pieces(), {**headers, "Content-Length": str(whole.length)})
    return await _send_range(services, scope, link, wanted, headers)


async def _send_range(
    services: Services, scope: Scope, link: FileLink, wanted: ByteRange, headers: dict[str, str]
) -> ASGIApp:
    if wanted.first is None:
        size = await measure_file(services, scope, link.sandbox_id, link.path)
        start, last = max(0, size - (wanted.last or 0)), None
    else:
        start, last = wanted.first, wanted.last
    end = None if last is None else last + 1
    part = await open_download(services, scope, link.sandbox_id, link.path, start=start, end=end)
    if not part.length:
        await part.aclose()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{part.size}"})
    sent = f"bytes {start}-{start + part.length - 1}/{part.size}"
    return ByteStream(
        part.pieces(), {**headers, "Content-Length": str(part.length), "Content-Range": sent}, status=206
    )


@answering
async def receive_file(request: Request) -> ASGIApp:
    """`PUT /files?sandboxId=…&path=…[&mode=…]`: the body becomes the file; answers with its entry."""
    services = services_of(request)
    _, scope = await authenticate_request(services.database, request)
    require_allowance(request, services.rates.take_request(scope, TRANSFER_POINTS))
    parameters = _parameters(request)
    sandbox_id = key_of(_required(parameters, "sandboxId"), "Sandbox", "sandboxId")
    path = _required(parameters, "path")
    mode = mode_of(parameters.get("mode"))
    _require_plain_body(request)
    entry = await write_file(services, scope, sandbox_id, path, _body(request), mode=mode)
    shown = {**_fields(entry), "downloadUrl": link_to_file(services, scope, sandbox_id, entry.path)}
    return Response(
        orjson.dumps(shown), headers={"Content-Type": "application/json", "Cache-Control": "no-store"}
    )


def _parameters(request: Request) -> dict[str, str]:
    """The query's parameters; what is no UTF-8 is refused, or it would become another path."""
    try:
        found = parse_qs(
            request.url.query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError as error:
        raise InvalidError("The query must be percent-encoded UTF-8 with few parameters.") from error
    for name, values in found.items():
        if len(values) > 1:
            raise InvalidError(f"{name} is given {len(values)} times; give it once.", (name,))
    return {name: values[0] for name, values in found.items()}


def _required(parameters: dict[str, str], name: str) -> str:
    if name not in parameters:
        raise InvalidError(f"Give {name} in the query: PUT /files?sandboxId=…&path=….", (name,))
    return parameters[name]


def _require_plain_body(request: Request) -> None:
    """Refuse what would be stored with its wrapping around it."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedRequestError("Send the file's bytes as they are, not compressed.", status=415)
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise RefusedRequestError("Send the file's bytes as the body, not as a form.", status=415)


async def _body(request: Request) -> AsyncIterator[bytes]:
    pieces = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                piece = await anext(pieces, None)
        except TimeoutError:
            message = f"Nothing of the body came for {STALLED_SECONDS:.0f} seconds."
            raise RefusedRequestError(message, status=408) from None
        if piece is None:
            return
        if piece:
            yield piece


def _fields(entry: FileEntry) -> dict[str, object]:
    """The fields of `FileEntry` in the API."""
    return {
        "name": entry.name,
        "path": entry.path,
        "kind": entry.kind,
        "size": entry.size,
        "mode": octal_digits(entry.mode),
        "owner": entry.owner,
        "modifiedAt": entry.modified_at.isoformat().replace("+00:00", "Z"),
        "symlinkTarget": entry.symlink_target,
    }
