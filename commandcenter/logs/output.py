"""The stored bytes of one stream, whole, as they were written."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from commandcenter.access.scope import Scope
from commandcenter.errors import InvalidError
from commandcenter.executions.queries import get_execution
from commandcenter.executions.records import Execution
from commandcenter.logs.records import LogChunkRecord, LogStream
from commandcenter.logs.store import read_chunks
from commandcenter.services import Services

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """What is stored of a stream at one moment: `size` in bytes, and in how many places some are missing."""

    execution: Execution
    stream: LogStream
    size: int
    gaps: int


async def measure_output(
    services: Services, scope: Scope, execution_id: UUID, stream: LogStream
) -> StoredOutput:
    """What is stored of a stream now; an execution that runs goes on to write."""
    async with services.database.transaction(scope.project_id) as session:
        execution = await get_execution(session, scope, execution_id)
        stored = await session.execute(
            select(
                func.coalesce(func.sum(func.octet_length(LogChunkRecord.data)), 0),
                func.count(LogChunkRecord.gap_reason),
            ).where(
                LogChunkRecord.execution_id == execution_id,
                LogChunkRecord.project_id == scope.project_id,
                LogChunkRecord.stream == stream,
                LogChunkRecord.sequence <= execution.last_sequence,
            )
        )
        size, gaps = stored.one()
    return StoredOutput(execution, stream, int(size), gaps)


async def read_output(services: Services, scope: Scope, output: StoredOutput) -> AsyncGenerator[bytes, None]:
    """The bytes of `output`, in pieces of about a megabyte, none held in the database while one is taken."""
    position = 0
    while True:
        async with services.database.transaction(scope.project_id) as session:
            chunks = await read_chunks(
                session,
                scope,
                [(output.execution.id, position)],
                most_bytes=_PIECE_BYTES,
                stream=output.stream,
            )
        stored = [chunk for chunk in chunks if chunk.sequence <= output.execution.last_sequence]
        if not stored:
            return
        position = stored[-1].sequence
        yield b"".join(chunk.data for chunk in stored)


def stream_named(name: str) -> LogStream:
    """The stream that a path names: `stdout`, `stderr` or `pty`."""
    streams = {"stdout": LogStream.STDOUT, "stderr": LogStream.STDERR, "pty": LogStream.PTY}
    if name not in streams:
        raise InvalidError(f"There is no such stream; there are {', '.join(streams)}.", ("stream",))
    return streams[name]
