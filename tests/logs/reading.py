"""A reader of output that keeps what it was given, byte for byte, over any number of subscriptions."""

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.client import Client

BATCH = (
    "chunks { cursor stream offset base64 execution { number } } cursor ended "
    "gap { stream fromOffset toOffset reason }"
)


def random_output(size: int) -> str:
    """A command that writes random bytes, and then their SHA-256 to its standard error."""
    return f"""python3 -c '
import hashlib, os, sys
digest, left = hashlib.sha256(), {size}
while left:
    data = os.urandom(min(left, 100_000))
    digest.update(data)
    sys.stdout.buffer.write(data)
    left -= len(data)
sys.stdout.flush()
print(digest.hexdigest(), file=sys.stderr)'"""


@dataclass
class Reader:
    """What was read so far, by execution number and stream; refuses what does not follow on."""

    cursor: str | None = None
    ended: bool = False
    streams: defaultdict[tuple[int, str], bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    gaps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.streams.values())

    def stream(self, name: str, number: int = 1) -> bytes:
        return bytes(self.streams[number, name])

    def only(self, name: str) -> bytes:
        """A stream of the one execution that was read."""
        (data,) = (data for (_, stream), data in self.streams.items() if stream == name)
        return bytes(data)

    def sha256(self, name: str) -> str:
        """The checksum of that stream."""
        return hashlib.sha256(self.only(name)).hexdigest()

    def take(self, batch: dict[str, Any]) -> None:
        """Add a batch."""
        assert not self.ended
        for chunk in batch["chunks"]:
            read = self.streams[chunk["execution"]["number"], chunk["stream"]]
            assert chunk["offset"] == len(read), "a gap or a doubled chunk"
            read += base64.b64decode(chunk["base64"])
        if batch["gap"]:
            self.gaps.append(batch["gap"])
        self.cursor = batch["cursor"]
        self.ended = batch["ended"]

    async def read_execution(self, client: Client, execution: str, until: float = float("inf")) -> None:
        """Follow an execution from where this reader is, until so many bytes in all or its end."""
        async with client.execution_logs(execution, self.cursor, selection=BATCH) as batches:
            async for batch in batches:
                self.take(batch)
                if self.size >= until:
                    return

    async def read_sandbox(self, client: Client, sandbox: str, until: float = float("inf")) -> None:
        """Follow a sandbox from where this reader is, until so many bytes in all or its end."""
        async with client.sandbox_logs(sandbox, self.cursor, selection=BATCH) as batches:
            async for batch in batches:
                self.take(batch)
                if self.size >= until:
                    return
