"""What can go wrong with a snapshot."""

from commandcenter.errors import DomainError, ErrorCode, NotFoundError, WrongStateError
from commandcenter.snapshots.records import Snapshot


class SnapshotNotFoundError(NotFoundError):
    """The caller's project has no such snapshot."""

    def __init__(self, field: str = "snapshotId") -> None:
        super().__init__("There is no such snapshot in this project.", (field,))


class SnapshotStateError(WrongStateError):
    """The snapshot's state does not allow the action."""

    def __init__(self, snapshot: Snapshot, field: str = "snapshotId") -> None:
        because = f" ({snapshot.status_reason})" if snapshot.status_reason else ""
        super().__init__(
            f"The snapshot is {snapshot.status}{because}. Wait until it is READY, or make another.", (field,)
        )


class SnapshotQuotaError(DomainError):
    """The project keeps as many snapshots as it may."""

    code = ErrorCode.QUOTA_EXCEEDED

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The project's limit maxSnapshots ({limit}) is reached. Delete a snapshot, or have an "
            "administrator raise the limit."
        )
