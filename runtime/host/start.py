"""What runs in a sandbox by itself, and in what context."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Context:
    """Whose a process is, where it begins and what variables it has beside those that all have."""

    user: str = "user"
    directory: str | None = None
    """None is the user's home."""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """What runs in a sandbox before it is handed out, and how one sees that it is up."""

    command: str = ""
    ready: str = ""
    context: Context = field(default_factory=Context)

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> "Start | None":
        """As it was stored; None where there is nothing to start."""
        return None if stored is None else cls(**stored | {"context": Context(**stored["context"])})
