"""What a measurement says: samples, and the rows of the table that is printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Samples:
    """Durations of one thing done again and again, in seconds."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """The one in the middle, in seconds."""
        return median(self.seconds)

    @property
    def p99(self) -> float:
        """The one that 99 % do not exceed, in seconds; the largest, where there are fewer than a hundred."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]

    def __str__(self) -> str:
        return f"{milliseconds(self.median)} (p99 {milliseconds(self.p99)})"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to reach, in words, and whether it does."""

    words: str
    is_met: bool

    def __str__(self) -> str:
        return f"{self.words}: {'met' if self.is_met else '**missed**'}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: ours, what it is compared with, and the ratio of the two, from the same run."""

    what: str
    ours: str
    compared: str = ""
    ratio: str = ""
    bar: Bar | None = None


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds * 1000:.1f} ms"


def per_second(count: float, seconds: float) -> str:
    """A rate for people."""
    return f"{count / seconds:,.0f}/s"


def ratio(ours: float, theirs: float) -> str:
    """How many times the other's value ours is."""
    return f"{ours / theirs:.2f}x"


def table(figures: Sequence[Figure], of_what: str) -> str:
    """The rows as a Markdown table whose columns stand under each other."""
    rows = [("", of_what, "compared with", "ratio", "bar")]
    rows += [(each.what, each.ours, each.compared, each.ratio, str(each.bar or "")) for each in figures]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (f" {cell.ljust(width)} " for cell, width in zip(cells, widths, strict=True))
    return "|" + "|".join(padded) + "|"
