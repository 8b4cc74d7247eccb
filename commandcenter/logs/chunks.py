"""A chunk of output, as it passes from the recorder to readers."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commandcenter.logs.cursors import encode_execution_cursor
from commandcenter.logs.records import LogStream


@dataclass(frozen=True, slots=True)
class LogGap:
    """Output of a stream that could not be kept: the offsets (the end may be unknown) and why."""

    stream: LogStream
    from_offset: int
    to_offset: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes `[offset, offset + len(data))` of one stream of an execution; its `sequence`-th chunk, from 1.

    The recorder cuts at the borders of UTF-8 characters, so each chunk of text reads well alone.
    """

    execution_id: UUID
    execution_number: int
    sandbox_id: UUID
    sequence: int
    stream: LogStream
    offset: int
    data: bytes
    at: datetime
    gap: LogGap | None = None

    @property
    def cursor(self) -> str:
        """The cursor after this chunk, for following its execution."""
        return encode_execution_cursor(self.execution_id, self.sequence)

    @property
    def text(self) -> str:
        """The bytes as text; what is no UTF-8 becomes replacement characters."""
        return self.data.decode("utf-8", errors="replace")

    @property
    def base64(self) -> str:
        """The bytes exactly, as base64."""
        return b64encode(self.data).decode("ascii")
