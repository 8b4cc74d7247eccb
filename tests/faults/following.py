"""A reader of one execution who never gives up: cut off, it goes on from its cursor, by any web process."""

import asyncio
import base64
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from websockets.exceptions import WebSocketException

from tests.faults.writers import STREAMS, Writer
from tests.fixtures.client import Client, UnexpectedErrorsError
from tests.logs.reading import BATCH

END = "status statusReason exitCode signal stdoutBytes stderrBytes"
BROKEN = (OSError, WebSocketException, TimeoutError, httpx.HTTPError, ValueError)
"""What a client sees of a connection or a process that dies: also an answer that is no JSON."""
_SILENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1

_Answer = TypeVar("_Answer")


def is_ours(error: UnexpectedErrorsError) -> bool:
    """Whether errors are failures of the product's own parts, after which a client tries again."""
    return all(one.get("extensions", {}).get("code") == "INTERNAL" for one in error.args[0])


@dataclass
class Follower:
    """What one client has put together of an execution's output."""

    execution_id: str
    cursor: str | None = None
    ended: bool = False
    streams: defaultdict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    gaps: list[dict[str, Any]] = field(default_factory=list)
    holes: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    cuts: int = 0

    @property
    def size(self) -> int:
        """Bytes that were read, of all streams."""
        return sum(len(data) for data in self.streams.values())

    def take(self, batch: dict[str, Any]) -> None:
        """Add a batch; what was left out must have been said."""
        assert not self.ended, "a batch after the last one"
        if batch["gap"]:
            self.gaps.append(batch["gap"])
        for chunk in batch["chunks"]:
            read, offset = self.streams[chunk["stream"]], chunk["offset"]
            assert offset >= len(read), f"{chunk['stream']} is doubled from {offset}, not {len(read)}"
            if offset > len(read):
                assert any(gap["fromOffset"] == len(read) for gap in self.gaps), (
                    f"{chunk['stream']} jumps from {len(read)} to {offset}, and no gap says so"
                )
                self.holes[chunk["stream"]].append((len(read), offset))
                read += bytes(offset - len(read))
            read += base64.b64decode(chunk["base64"])
        self.cursor, self.ended = batch["cursor"], batch["ended"]

    async def read(self, clients: Sequence[Client], *, until: float = float("inf")) -> None:
        """Read to the end, or until so many bytes were read; from the clients in turn, as each is cut off.

        A silent subscription is given up after some seconds: nobody tells of a process that stands still.
        """
        while not self.ended and self.size < until:
            client = clients[self.cuts % len(clients)]
            try:
                await self._read(client, until)
            except BROKEN:
                self.cuts += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            except UnexpectedErrorsError as error:
                if not is_ours(error):
                    raise
                self.cuts += 1
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self, client: Client, until: float) -> None:
        async with asyncio.timeout(_SILENCE_SECONDS):
            subscription = client.execution_logs(self.execution_id, self.cursor, selection=BATCH)
            batches = await subscription.__aenter__()
        try:
            while self.size < until:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    self.take(await anext(batches))
        except StopAsyncIteration:
            assert self.ended, "the subscription was completed before the end"
        finally:
            await subscription.__aexit__(None, None, None)

    def require_true(self, writer: Writer, *, whole: bool) -> None:
        """See that all that was read is what the writer wrote, and where `whole`, that nothing is missing."""
        for stream in STREAMS:
            written, read = writer.output(stream), self.streams[stream]
            for begin, end in self.holes[stream]:
                read[begin:end] = written[begin:end]
            if whole:
                assert not self.gaps, self.gaps
                assert len(read) == len(written), f"{stream}: {len(read)} of {len(written)} bytes"
                assert hashlib.sha256(read).digest() == hashlib.sha256(written).digest()
            else:
                assert written.startswith(bytes(read)), f"{stream} is not what was written"


async def again(
    clients: Sequence[Client], ask: Callable[[Client], Awaitable[_Answer]], *, seconds: float
) -> _Answer:
    """What one of the clients gets, asked in turn until one answers; raises what the last one met."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    number = 0
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                return await ask(clients[number % len(clients)])
        except (*BROKEN, UnexpectedErrorsError) as error:
            if loop.time() > deadline or (isinstance(error, UnexpectedErrorsError) and not is_ours(error)):
                raise
        number += 1
        await asyncio.sleep(_PAUSE_SECONDS)
