"""Disagreements between a provider and our records that may still settle by themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

Life = tuple[UUID, int]
"""A sandbox's id and its incarnation."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the sweep leaves alone what may be somebody's work in progress.

    `orphan`: a sandbox without a record, from its start.
    `resumption`: a sandbox that runs though its record says PAUSED, from when that was first seen.
    """

    orphan: timedelta = timedelta(seconds=30)
    resumption: timedelta = timedelta(seconds=90)


@dataclass(slots=True)
class Doubts:
    """Since when each disagreement has been seen without a break, by provider."""

    patience: Patience = field(default_factory=Patience)
    _since: dict[str, dict[Life, datetime]] = field(default_factory=dict)

    def lasting(self, provider: str, seen: Iterable[Life], at: datetime) -> set[Life]:
        """Those of `seen` that were seen in every sweep since before our patience began."""
        before = self._since.get(provider, {})
        since = self._since[provider] = {life: before.get(life, at) for life in seen}
        return {life for life, begun in since.items() if begun <= at - self.patience.resumption}
