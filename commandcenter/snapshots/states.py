"""The life of a snapshot: its states and what leads from one to another."""

from enum import StrEnum


class SnapshotStatus(StrEnum):
    """Where a snapshot is in its life."""

    CREATING = "CREATING"
    READY = "READY"
    FAILED = "FAILED"


TRANSITIONS: dict[SnapshotStatus, frozenset[SnapshotStatus]] = {
    SnapshotStatus.CREATING: frozenset({SnapshotStatus.READY, SnapshotStatus.FAILED}),
    SnapshotStatus.READY: frozenset(),
    SnapshotStatus.FAILED: frozenset(),
}
