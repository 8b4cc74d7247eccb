"""Which sandboxes this process makes, and which of them wait for their turn."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

Waiting = dict[UUID, asyncio.Future[bool]]


class OwnedCreations:
    """The sandboxes that a task of this process makes: exactly those whose leases it renews.

    `looked_after` are the providers at whose queue a task of this process looks.
    """

    def __init__(self) -> None:
        self._ids: set[UUID] = set()
        self._waiting: dict[str, Waiting] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self.looked_after: set[str] = set()

    @contextmanager
    def owning(self, sandbox_id: UUID) -> Iterator[None]:
        """Take care of a sandbox for as long as the block runs."""
        self._ids.add(sandbox_id)
        try:
            yield
        finally:
            self._ids.discard(sandbox_id)

    def ids(self) -> list[UUID]:
        """All of them."""
        return list(self._ids)

    def waiting_at(self, provider: str) -> Waiting:
        """Those that wait at a provider; each future tells whether it is their turn, or nobody's any more."""
        return self._waiting.setdefault(provider, {})

    def wake_of(self, provider: str) -> asyncio.Event:
        """What is set when one more waits at a provider."""
        return self._wakes.setdefault(provider, asyncio.Event())
