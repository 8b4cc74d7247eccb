"""Gaps: what is said, in the log itself, of output that could not be kept."""

from commandcenter.clock import now
from commandcenter.executions.records import Execution
from commandcenter.logs.records import LogChunkRecord, LogStream


def output_streams(execution: Execution) -> tuple[LogStream, ...]:
    """The streams that an execution writes."""
    return (LogStream.PTY,) if execution.is_terminal else (LogStream.STDOUT, LogStream.STDERR)


def gap_records(execution: Execution, reason: str) -> list[LogChunkRecord]:
    """A gap at the end of each of its streams, numbered after its last chunk."""
    ends = {
        LogStream.STDOUT: execution.stdout_bytes,
        LogStream.STDERR: execution.stderr_bytes,
        LogStream.PTY: execution.terminal_bytes,
    }
    return [
        LogChunkRecord(
            execution_id=execution.id,
            sequence=execution.last_sequence + place,
            project_id=execution.project_id,
            stream=stream,
            offset=ends[stream],
            data=b"",
            at=now(),
            gap_reason=reason,
        )
        for place, stream in enumerate(output_streams(execution), start=1)
    ]
