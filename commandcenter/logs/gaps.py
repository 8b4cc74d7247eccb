"""Gaps: what is said, in the log itself, of output that could not be kept."""

from commandcenter.executions.records import Execution
from commandcenter.logs.records import LogStream


def output_streams(execution: Execution) -> tuple[LogStream, ...]:
    """The streams that an execution writes."""
    return (LogStream.PTY,) if execution.is_terminal else (LogStream.STDOUT, LogStream.STDERR)
