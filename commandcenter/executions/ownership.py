"""Which executions this process reads: exactly those that a task of it stands for."""

import asyncio
from collections.abc import Collection
from uuid import UUID


class OwnedExecutions:
    """The executions whose output a task of this process reads, or is about to.

    Only their leases are renewed; so one whose task broke down is soon nobody's, like that of a process
    that died.
    """

    def __init__(self) -> None:
        self._readers: dict[UUID, asyncio.Task[object] | None] = {}

    def __contains__(self, execution_id: UUID) -> bool:
        return execution_id in self._readers

    def add(self, execution_id: UUID, reader: asyncio.Task[object] | None = None) -> None:
        """A task takes care of it from now on; `reader` is cancelled where it turns out to be another's."""
        self._readers[execution_id] = reader

    def discard(self, execution_id: UUID) -> None:
        """No task takes care of it any more."""
        self._readers.pop(execution_id, None)

    def ids(self) -> list[UUID]:
        """All of them."""
        return list(self._readers)

    def let_go(self, execution_ids: Collection[UUID]) -> None:
        """Stop reading those that another process has taken over, while this one was held up."""
        for execution_id in execution_ids:
            reader = self._readers.get(execution_id)
            if reader is not None:
                reader.cancel()
