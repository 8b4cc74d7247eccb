"""Which executions this process reads: exactly those that a task of it stands for."""

from uuid import UUID


class OwnedExecutions:
    """The ids of the executions whose output a task of this process reads, or is about to.

    Only their leases are renewed; so one whose task broke down is soon nobody's, like that of a process
    that died.
    """

    def __init__(self) -> None:
        self._ids: set[UUID] = set()

    def add(self, execution_id: UUID) -> None:
        """A task takes care of it from now on."""
        self._ids.add(execution_id)

    def discard(self, execution_id: UUID) -> None:
        """No task takes care of it any more."""
        self._ids.discard(execution_id)

    def ids(self) -> list[UUID]:
        """All of them."""
        return list(self._ids)
