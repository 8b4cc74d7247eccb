"""Writing chunks to the database, and reading them from it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.database import Database
from commandcenter.logs.chunks import LogChunk, LogGap
from commandcenter.logs.pending import PendingOutput
from commandcenter.logs.records import LogStream

# The owner alone may write: an execution that another process has taken over is left untouched. And only what
# was masked with every secret that the sandbox was given by now: whatever shows a secret came after that.
_CLAIM = text("""
    UPDATE executions SET
        last_sequence = progress.last_sequence,
        stdout_bytes = progress.stdout_bytes,
        stderr_bytes = progress.stderr_bytes,
        terminal_bytes = progress.terminal_bytes
    FROM unnest(
        CAST(:execution_ids AS uuid[]), CAST(:last_sequences AS bigint[]), CAST(:stdout_bytes AS bigint[]),
        CAST(:stderr_bytes AS bigint[]), CAST(:terminal_bytes AS bigint[]), CAST(:masked_with AS int[])
    ) AS progress(
        execution_id, last_sequence, stdout_bytes, stderr_bytes, terminal_bytes, masked_with
    ), sandboxes
    WHERE executions.id = progress.execution_id AND executions.owner = :owner
        AND sandboxes.id = executions.sandbox_id AND sandboxes.secret_count <= progress.masked_with
    RETURNING executions.id
""")

_OWNED = text("SELECT id FROM executions WHERE id = ANY(:execution_ids) AND owner = :owner")

# A commit whose answer was lost is tried again: what is there already is the same.
_INSERT = text("""
    INSERT INTO log_chunks
        (execution_id, sequence, project_id, stream, byte_offset, data, written_at, gap_to, gap_reason)
    SELECT chunk.execution_id, chunk.sequence, :project_id, chunk.stream, chunk.byte_offset, chunk.data,
        chunk.written_at, chunk.gap_to, chunk.gap_reason
    FROM unnest(
        CAST(:execution_ids AS uuid[]), CAST(:sequences AS bigint[]), CAST(:streams AS smallint[]),
        CAST(:offsets AS bigint[]), CAST(:data AS bytea[]), CAST(:times AS timestamptz[]),
        CAST(:gap_ends AS bigint[]), CAST(:gap_reasons AS text[])
    ) AS chunk(execution_id, sequence, stream, byte_offset, data, written_at, gap_to, gap_reason)
    ON CONFLICT (execution_id, sequence) DO NOTHING
""")

# Of several executions, each from its own position, in their order; as many as fit the bounds, at least one.
# Each execution's part is bounded before they are put in order, so that a long log costs no more than a page.
_READ = text("""
    SELECT execution_id, number, sandbox_id, sequence, stream, byte_offset, data, written_at, gap_to,
        gap_reason
    FROM (
        SELECT following.*, executions.number, executions.sandbox_id, place,
            sum(length(data)) OVER (ORDER BY place, sequence) - length(data) AS bytes_before
        FROM unnest(CAST(:execution_ids AS uuid[]), CAST(:afters AS bigint[]))
            WITH ORDINALITY AS position(id, after, place)
        JOIN executions ON executions.id = position.id AND executions.project_id = :project_id
        CROSS JOIN LATERAL (
            SELECT * FROM log_chunks
            WHERE execution_id = position.id
                AND sequence > position.after AND sequence <= position.after + CAST(:reach AS bigint)
                AND (CAST(:stream AS smallint) IS NULL OR stream = :stream)
            ORDER BY sequence LIMIT :most_chunks
        ) AS following
        ORDER BY place, sequence LIMIT :most_chunks
    ) AS chunk
    WHERE bytes_before < :most_bytes
    ORDER BY place, sequence
""")

_ANYWHERE = 2**53


@dataclass(frozen=True, slots=True)
class StoredChunks:
    """The ids of the executions whose chunks were stored, and of those to be masked anew before.

    Another's are owned by somebody else now.
    """

    stored: Set[UUID] = frozenset()
    to_mask_anew: Set[UUID] = frozenset()


async def store_chunks(
    database: Database,
    project_id: UUID,
    owner: UUID,
    taken: Sequence[tuple[PendingOutput, list[LogChunk]]],
) -> StoredChunks:
    """Store chunks of several executions of one project in one transaction."""
    if not taken:
        return StoredChunks()
    async with database.transaction(project_id) as session:
        claimed = await session.execute(
            _CLAIM,
            {
                "owner": owner,
                "execution_ids": [pending.execution_id for pending, _ in taken],
                "last_sequences": [pending.last_sequence for pending, _ in taken],
                "stdout_bytes": [pending.offsets[LogStream.STDOUT] for pending, _ in taken],
                "stderr_bytes": [pending.offsets[LogStream.STDERR] for pending, _ in taken],
                "terminal_bytes": [pending.offsets[LogStream.PTY] for pending, _ in taken],
                "masked_with": [pending.taken_with for pending, _ in taken],
            },
        )
        stored = set(claimed.scalars())
        chunks = [chunk for pending, batch in taken if pending.execution_id in stored for chunk in batch]
        if chunks:
            await session.execute(_INSERT, _columns(project_id, chunks))
        others = [pending.execution_id for pending, _ in taken if pending.execution_id not in stored]
        owned = await session.scalars(_OWNED, {"execution_ids": others, "owner": owner}) if others else ()
        return StoredChunks(stored, set(owned))


def _columns(project_id: UUID, chunks: list[LogChunk]) -> dict[str, object]:
    return {
        "project_id": project_id,
        "execution_ids": [chunk.execution_id for chunk in chunks],
        "sequences": [chunk.sequence for chunk in chunks],
        "streams": [int(chunk.stream) for chunk in chunks],
        "offsets": [chunk.offset for chunk in chunks],
        "data": [chunk.data for chunk in chunks],
        "times": [chunk.at for chunk in chunks],
        "gap_ends": [chunk.gap.to_offset if chunk.gap else None for chunk in chunks],
        "gap_reasons": [chunk.gap.reason if chunk.gap else None for chunk in chunks],
    }


async def read_chunks(
    session: AsyncSession,
    scope: Scope,
    positions: Sequence[tuple[UUID, int]],
    *,
    most_bytes: int,
    most_chunks: int = 1000,
    stream: LogStream | None = None,
) -> list[LogChunk]:
    """The chunks of executions that follow their positions (id, sequence): at least one if there is any."""
    rows = await session.execute(
        _READ,
        {
            "execution_ids": [execution_id for execution_id, _ in positions],
            "afters": [after for _, after in positions],
            "project_id": scope.project_id,
            "most_bytes": most_bytes,
            "most_chunks": most_chunks,
            # Sequences have no holes, so the next chunks lie close by; those of one stream may lie anywhere.
            "reach": most_chunks if stream is None else _ANYWHERE,
            "stream": stream,
        },
    )
    return [
        LogChunk(
            execution_id=row.execution_id,
            execution_number=row.number,
            sandbox_id=row.sandbox_id,
            sequence=row.sequence,
            stream=LogStream(row.stream),
            offset=row.byte_offset,
            data=row.data,
            at=row.written_at,
            gap=_gap(row) if row.gap_reason else None,
        )
        for row in rows
    ]


def _gap(row: Row[Any]) -> LogGap:
    return LogGap(LogStream(row.stream), row.byte_offset, row.gap_to, row.gap_reason)
