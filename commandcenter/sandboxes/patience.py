"""How long the sweep leaves alone what may be somebody's work in progress."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Patience:
    """`orphan`: for what has no record, from its start."""

    orphan: timedelta = timedelta(seconds=30)
