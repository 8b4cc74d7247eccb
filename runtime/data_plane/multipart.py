"""Multipart bodies as a stream of parts: nothing of a file is held but the piece that just came."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

from runtime.data_plane.file_errors import FileOperationError

MAX_PARTS = 10_000
MAX_HEADER_BYTES = 16_384


@dataclass(frozen=True)
class PartBegins:
    """A part's headers: the form field's name and the file's, where it has one."""

    name: str
    filename: str | None


@dataclass(frozen=True)
class PartContinues:
    """Some of a part's content."""

    content: bytes


@dataclass(frozen=True)
class PartEnds:
    """A part is whole."""


PartEvent = PartBegins | PartContinues | PartEnds


async def parts_of(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[PartEvent]:
    """The events of a multipart body; raises FileOperationError where it is malformed or ends too early."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise FileOperationError(
            "invalid_argument", "error parsing multipart form: its Content-Type has no boundary"
        )
    reader = _Reader(boundary)
    async for chunk in body:
        for event in reader.read(chunk):
            yield event
    if not reader.complete:
        raise FileOperationError(
            "invalid_argument", "error reading form: the body ends before its last boundary"
        )


class _Reader:
    """Turns the parser's callbacks into events."""

    def __init__(self, boundary: bytes) -> None:
        self.complete = False
        self._events: list[PartEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._header_bytes = 0
        self._parts = 0
        try:
            self._parser = MultipartParser(boundary, self._callbacks(), max_header_size=MAX_HEADER_BYTES)
        except FormParserError as error:
            raise FileOperationError("invalid_argument", f"error parsing multipart form: {error}") from None

    def read(self, chunk: bytes) -> list[PartEvent]:
        """The events that this piece of the body brings."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise FileOperationError("invalid_argument", f"error reading form: {error}") from None
        events, self._events = self._events, []
        return events

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda data, start, end: self._gather(self._header_name, data[start:end]),
            "on_header_value": lambda data, start, end: self._gather(self._header_value, data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": lambda data, start, end: self._events.append(PartContinues(data[start:end])),
            "on_part_end": lambda: self._events.append(PartEnds()),
            "on_end": self._ends,
        }

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FileOperationError("too_large", f"one request can carry at most {MAX_PARTS} parts")
        self._headers = {}
        self._header_bytes = 0

    def _gather(self, into: bytearray, data: bytes) -> None:
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            message = f"a part's headers are longer than {MAX_HEADER_BYTES} bytes"
            raise FileOperationError("too_large", message)
        into += data

    def _header_ends(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        filename = options.get(b"filename")
        self._events.append(
            PartBegins(
                options.get(b"name", b"").decode("utf-8", "surrogateescape"),
                None if filename is None else _unescaped(filename.decode("utf-8", "surrogateescape")),
            )
        )

    def _ends(self) -> None:
        self.complete = True


def _unescaped(filename: str) -> str:
    """A file's name as it was before its sender escaped what a header can't hold (the three of WHATWG's)."""
    return filename.replace("%22", '"').replace("%0A", "\n").replace("%0D", "\r")
