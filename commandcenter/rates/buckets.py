"""Buckets of allowance, and what is known of them at one moment: pure arithmetic.

A bucket holds `limit` units and fills up evenly within `seconds`; what is taken must be in it. One number
says how full it is: the seconds until it is full again (the generic cell rate algorithm, GCRA).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# What floating point may lose or add.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Bucket:
    """An allowance: `name` says of what, `owner` whose it is."""

    name: str
    owner: str
    limit: int
    seconds: float

    @cached_property
    def key(self) -> str:
        """What it is stored under; an allowance of another size is another bucket, full at first."""
        return f"commandcenter:rate:{self.owner}:{self.name}:{self.limit}"

    @cached_property
    def unit_seconds(self) -> float:
        """The time in which one unit comes back."""
        return self.seconds / self.limit


@dataclass(frozen=True, slots=True)
class Charge:
    """So many units of a bucket, at most its limit."""

    bucket: Bucket
    units: int = 1

    @property
    def seconds(self) -> float:
        """The time in which the units come back."""
        return self.units * self.bucket.unit_seconds

    def excess_seconds(self, reset_seconds: float) -> float:
        """How long to wait until the units are there, in a bucket that is full after `reset_seconds`."""
        return reset_seconds + self.seconds - self.bucket.seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left in a bucket, and after how many seconds it is full."""

    bucket: Bucket
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether everything that was asked for was taken (else nothing was), and how the buckets stand now."""

    standings: tuple[Standing, ...]
    refused_by: Bucket | None = None
    retry_after_seconds: float = 0.0

    @property
    def tightest(self) -> Standing:
        """The bucket that stops the caller first: the one that refused, else the emptiest for its size."""
        if self.refused_by is not None:
            return next(each for each in self.standings if each.bucket == self.refused_by)
        return min(self.standings, key=lambda each: each.remaining / each.bucket.limit)

    def standing(self, name: str) -> Standing | None:
        """The tighter one of the buckets whose name ends with `name`."""
        named = [each for each in self.standings if each.bucket.name.endswith(name)]
        return min(named, key=lambda each: each.remaining, default=None)


def fits(charges: Sequence[Charge], reset_seconds: Sequence[float]) -> bool:
    """Whether all of the charges are there, in buckets that are full after so many seconds, each."""
    return all(
        charge.excess_seconds(reset) <= _ROUNDING
        for charge, reset in zip(charges, reset_seconds, strict=True)
    )


def judge(charges: Sequence[Charge], reset_seconds: Sequence[float], *, taken: bool) -> Verdict:
    """The verdict on charges that were taken or not; `reset_seconds` are those of before."""
    standings = []
    for charge, reset in zip(charges, reset_seconds, strict=True):
        bucket = charge.bucket
        after = reset + charge.seconds if taken else reset
        remaining = math.floor((bucket.seconds - after) / bucket.unit_seconds + _ROUNDING)
        standings.append(Standing(bucket, max(0, remaining), after))
    if taken:
        return Verdict(tuple(standings))
    waits = [charge.excess_seconds(reset) for charge, reset in zip(charges, reset_seconds, strict=True)]
    return Verdict(tuple(standings), charges[waits.index(max(waits))].bucket, max(waits))
