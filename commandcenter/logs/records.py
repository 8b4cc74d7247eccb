"""What is stored of output: exact bytes, in numbered chunks."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record


class LogStream(IntEnum):
    """Which stream of an execution a chunk comes from. SYSTEM: words of ours, such as a gap."""

    STDOUT = 1
    STDERR = 2
    PTY = 3
    SYSTEM = 4


class LogChunkRecord(Record):
    """Bytes `[offset, offset + len(data))` of one stream, the `sequence`-th chunk of its execution (from 1).

    A gap is a row too: no data, `gap_reason` set, and `gap_to` the offset where output goes on, if known.
    """

    __tablename__ = "log_chunks"

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("executions.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    project_id: Mapped[UUID] = mapped_column()
    stream: Mapped[int] = mapped_column(SmallInteger)
    offset: Mapped[int] = mapped_column("byte_offset", BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(
        "written_at",
    )
    gap_to: Mapped[int | None] = mapped_column(BigInteger)
    gap_reason: Mapped[str | None] = mapped_column(Text)
