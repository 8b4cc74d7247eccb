"""What the doctor finds."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["good", "limited", "unfit"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    `good` is as good as it can be, `limited` works with less, and with `unfit` the runtime doesn't start;
    `mend` says what to do about the latter two.
    """

    name: str
    state: State
    detail: str
    mend: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def good(name: str, detail: str) -> Finding:
    """Nothing to mend."""
    return Finding(name, "good", detail)


def limited(name: str, detail: str, mend: str) -> Finding:
    """Sandboxes work, with less."""
    return Finding(name, "limited", detail, mend)


def unfit(name: str, detail: str, mend: str) -> Finding:
    """No sandboxes here."""
    return Finding(name, "unfit", detail, mend)
