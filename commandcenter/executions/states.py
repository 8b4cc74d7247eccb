"""The life of an execution: its states and what leads from one to another."""

from enum import StrEnum


class ExecutionStatus(StrEnum):
    """Where an execution is in its life. LOST: its end was not seen, so no exit code is known."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


ENDED = frozenset(
    {
        ExecutionStatus.SUCCEEDED,
        ExecutionStatus.FAILED,
        ExecutionStatus.TIMED_OUT,
        ExecutionStatus.CANCELLED,
        ExecutionStatus.LOST,
    }
)

TRANSITIONS: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    # Also straight to an end: a crash of the database may undo that the start was recorded.
    ExecutionStatus.QUEUED: ENDED | {ExecutionStatus.RUNNING},
    ExecutionStatus.RUNNING: ENDED,
    **{status: frozenset[ExecutionStatus]() for status in ENDED},
}
