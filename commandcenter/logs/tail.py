"""The end of a stream that is stored."""

from sqlalchemy import select

from commandcenter.access.scope import Scope
from commandcenter.database import Database
from commandcenter.errors import InvalidError
from commandcenter.executions.records import Execution
from commandcenter.logs.records import LogChunkRecord, LogStream

LARGEST_TAIL_BYTES = 1024 * 1024
_ROWS_AT_ONCE = 16


async def read_tail(
    database: Database, scope: Scope, execution: Execution, stream: LogStream, last_bytes: int
) -> str:
    """The last bytes of a stream, as text, not beginning within a character."""
    if not 1 <= last_bytes <= LARGEST_TAIL_BYTES:
        raise InvalidError(f"lastBytes must be between 1 and {LARGEST_TAIL_BYTES}.", ("lastBytes",))
    if execution.stored_bytes(stream) == 0:
        return ""
    newest_first = (
        select(LogChunkRecord.data)
        .where(
            LogChunkRecord.execution_id == execution.id,
            LogChunkRecord.project_id == scope.project_id,
            LogChunkRecord.stream == stream,
        )
        .order_by(LogChunkRecord.sequence.desc())
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    parts: list[bytes] = []
    missing = last_bytes
    async with database.transaction(scope.project_id) as session:
        rows = await session.stream_scalars(newest_first)
        async for data in rows:
            parts.append(data)
            missing -= len(data)
            if missing <= 0:
                break
        await rows.close()
    tail = b"".join(reversed(parts))
    return _from_character_border(tail[-last_bytes:], is_cut=missing < 0).decode("utf-8", errors="replace")


def _from_character_border(data: bytes, *, is_cut: bool) -> bytes:
    """Without the end of a character that was cut in two."""
    continuations = 0
    while is_cut and continuations < min(3, len(data)) and 0x80 <= data[continuations] <= 0xBF:
        continuations += 1
    return data[continuations:]
