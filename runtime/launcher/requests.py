"""What the runtime and its launcher say to each other."""

from dataclasses import asdict, dataclass

import orjson

DATAGRAM_LIMIT = 1 << 17
PASSED = 4
"""Descriptors of a request: listener, filter, information, complaints."""
LISTENER, FILTER, INFORMATION = 10, 11, 12
"""The numbers that bubblewrap and the supervisor find the first three at."""


@dataclass(frozen=True)
class LaunchRequest:
    """A bubblewrap to be started: with ids of its own where there is a first one, else as we are."""

    number: int
    arguments: list[str]
    first_id: int | None
    staging: str
    trees: list[tuple[str, str]]
    hidden: str

    def encode(self) -> bytes:
        """As a datagram."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decode(cls, message: bytes) -> "LaunchRequest":
        """From a datagram."""
        return cls(**orjson.loads(message))


@dataclass(frozen=True)
class Answer:
    """The pid that a request led to, or, as number 0, the wait status that a pid ended with."""

    number: int
    pid: int
    ended: int | None

    def encode(self) -> bytes:
        """As a datagram."""
        return orjson.dumps([self.number, self.pid, self.ended])

    @classmethod
    def decode(cls, message: bytes) -> "Answer":
        """From a datagram."""
        return cls(*orjson.loads(message))
