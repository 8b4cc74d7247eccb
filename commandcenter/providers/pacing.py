"""How fast a provider's account takes new sandboxes, and how many of them at once."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 60.0
_LONGEST_ADVISED_SECONDS = 3600.0


@dataclass(frozen=True)
class Pace:
    """The limits of one account; None is no limit of ours.

    `sandboxes_at_once` counts those that run or are being made. `most_waiting` bounds the queue of those
    that wait for their turn.
    """

    creates_per_second: float | None = None
    sandboxes_at_once: int | None = None
    most_waiting: int = 500

    @property
    def is_limited(self) -> bool:
        """Whether creations wait for their turn also while the provider takes them."""
        return self.creates_per_second is not None or self.sandboxes_at_once is not None

    @property
    def interval(self) -> timedelta:
        """The time between two creations."""
        per_second = self.creates_per_second
        return timedelta(0) if per_second is None else timedelta(seconds=1 / per_second)


UNLIMITED = Pace()


def pause_after(refusals: int, advised_seconds: float | None) -> timedelta:
    """How long to leave a provider alone that refused for the `refusals`th time in a row.

    Its own advice is honoured; without one, or where it proves too short, the pause grows.
    """
    grown = min(_FIRST_PAUSE_SECONDS * 2 ** min(refusals - 1, 10), _LONGEST_PAUSE_SECONDS)
    advised = min(advised_seconds or 0.0, _LONGEST_ADVISED_SECONDS)
    return timedelta(seconds=max(grown, advised))


def why_waiting(
    provider: str, pace: Pace, place: int, of: int, *, is_full: bool, paused_until: datetime | None
) -> str:
    """The sentence that tells the one at `place` what it waits for."""
    if paused_until is not None:
        until = (paused_until + timedelta(seconds=1)).strftime("%H:%M:%S")
        because = f"{provider} takes no more at the moment and is asked again at {until} UTC"
    elif is_full:
        because = f"{provider} runs {pace.sandboxes_at_once} at once, and as many run"
    elif pace.creates_per_second is not None:
        because = f"{provider} takes {_rate(pace.creates_per_second)}"
    else:
        because = f"{provider} takes them one after the other since it refused some"
    return f"Waiting for its turn at {provider}: place {place} of {of}; {because}."


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:g} a second"
    return f"1 in {math.ceil(1 / per_second)} seconds"
