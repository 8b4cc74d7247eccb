"""E2B's cloud, as far as a test can have it: our runtime behind a layer that hides what only ours does,
and that fails as it is told.

Each connection carries one request. What a rule does not catch is passed on as it is.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.faults.links import HOST, Streams, reset

CONTROL_PLANE = r"/(v\d/)?sandboxes"
CREATE = r"/v\d/sandboxes"
PROCESS_START = r"/process\.Process/Start"
_LARGEST_HEAD = 1 << 16
_PIECE_BYTES = 1 << 16
_REASONS = {404: "Not Found", 409: "Conflict", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass(frozen=True)
class Refusal:
    """Answer with a status; nothing is done."""

    status: int
    retry_after_seconds: int | None = None

    def response(self) -> bytes:
        body = json.dumps({"code": self.status, "message": f"a fault that the test injects: {self.status}"})
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unavailable')}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
        if self.retry_after_seconds is not None:
            lines.append(f"Retry-After: {self.retry_after_seconds}")
        return "\r\n".join([*lines, "", body]).encode()


@dataclass(frozen=True)
class Silence:
    """Do nothing and answer nothing, until the client has gone."""


@dataclass(frozen=True)
class LostAnswer:
    """Do what was asked for, hold the answer back for a while, and break the connection off instead."""

    after_seconds: float = 0


@dataclass(frozen=True)
class Slowness:
    """Begin later."""

    seconds: float


Fault = Refusal | Silence | LostAnswer | Slowness


@dataclass
class Rule:
    """Which requests fail, and how; `met` is set once one did."""

    fault: Callable[[], Fault | None]
    method: str
    path: re.Pattern[str]
    left: float = float("inf")
    met: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    def applies(self, method: str, path: str) -> bool:
        return self.left > 0 and re.fullmatch(self.method, method) is not None and bool(self.path.match(path))

    def take(self) -> Fault | None:
        fault = self.fault()
        if fault is not None:
            self.left -= 1
            self.count += 1
            self.met.set()
        return fault


class Cloud:
    """The layer in front of a runtime whose address `runtime` tells."""

    def __init__(self, runtime: Callable[[], tuple[str, int]]) -> None:
        self._runtime = runtime
        self._rules: list[Rule] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Control plane and data plane; only after `start`."""
        assert self._server is not None
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0, limit=_LARGEST_HEAD)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def next(self, fault: Fault, *, times: int = 1, method: str = r"\w+", path: str = CONTROL_PLANE) -> Rule:
        """Let the next requests that match fail."""
        return self._add(lambda: fault, method, path, times)

    @contextmanager
    def always(self, fault: Fault, *, method: str = r"\w+", path: str = CONTROL_PLANE) -> Iterator[Rule]:
        """Let every request that matches fail, for the length of the block."""
        yield from self._during(lambda: fault, method, path)

    @contextmanager
    def share(
        self, chance: Random, share: float, faults: Sequence[Fault], *, path: str = CONTROL_PLANE
    ) -> Iterator[Rule]:
        """Let a share of the requests that match fail, for the length of the block."""
        yield from self._during(
            lambda: chance.choice(faults) if chance.random() < share else None, r"\w+", path
        )

    def heal(self) -> None:
        """Fail no more."""
        self._rules.clear()

    def _during(self, fault: Callable[[], Fault | None], method: str, path: str) -> Iterator[Rule]:
        rule = self._add(fault, method, path)
        try:
            yield rule
        finally:
            rule.left = 0

    def _add(
        self, fault: Callable[[], Fault | None], method: str, path: str, times: float = float("inf")
    ) -> Rule:
        rule = Rule(fault, method, re.compile(path), times)
        self._rules = [*(one for one in self._rules if one.left > 0), rule]
        return rule

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer((reader, writer))
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            reset(writer)

    async def _answer(self, client: Streams) -> None:
        reader, writer = client
        head = _Head.parse(await reader.readuntil(b"\r\n\r\n"))
        fault: Fault | None = None
        if head.path.startswith("/runtime/"):
            # Ours alone: the cloud knows no such path.
            fault = Refusal(404)
        elif rule := next((one for one in self._rules if one.applies(head.method, head.path)), None):
            fault = rule.take()
        match fault:
            case Refusal():
                # A client that still sends would not read the answer if it were cut off.
                await reader.readexactly(head.length)
                writer.write(fault.response())
                await writer.drain()
            case Silence():
                await reader.read()
            case Slowness():
                await asyncio.sleep(fault.seconds)
                await self._pass_on(client, head)
            case LostAnswer():
                await self._pass_on(client, head, answers=False)
                await asyncio.sleep(fault.after_seconds)
                raise ConnectionAbortedError
            case None:
                await self._pass_on(client, head)

    async def _pass_on(self, client: Streams, head: "_Head", *, answers: bool = True) -> None:
        far = await asyncio.open_connection(*self._runtime())
        far[1].write(head.for_runtime())
        requests = asyncio.create_task(_copy(client[0], far[1]))
        carried_out = asyncio.create_task(self._take_answer(far[0], head, client[1] if answers else None))
        try:
            # A client's end, orderly or not, means that it has gone: the runtime shall see that, unless it
            # shall do the work all the same.
            ends = [requests, carried_out] if answers else [carried_out]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (requests, carried_out):
                task.cancel()
            await asyncio.gather(requests, carried_out, return_exceptions=True)
            reset(far[1])

    async def _take_answer(
        self, far: asyncio.StreamReader, head: "_Head", client: asyncio.StreamWriter | None
    ) -> None:
        """Pass the answer on, or without a client wait until what was asked for is done."""
        if client is not None:
            await _copy(far, client)
        elif head.is_stream:
            # It has begun to answer: what was asked for is under way.
            await far.read(1)
        else:
            await far.read()


@dataclass(frozen=True)
class _Head:
    method: str
    target: str
    headers: Sequence[tuple[str, str]]

    @classmethod
    def parse(cls, data: bytes) -> "_Head":
        request, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = request.split(" ")
        pairs = (line.split(":", 1) for line in lines)
        return cls(method, target, [(name, value.strip()) for name, value in pairs])

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def length(self) -> int:
        values: Mapping[str, str] = {name.lower(): value for name, value in self.headers}
        return int(values.get("content-length", 0))

    @property
    def is_stream(self) -> bool:
        return any(
            name.lower() == "content-type" and value.startswith("application/connect")
            for name, value in self.headers
        )

    def for_runtime(self) -> bytes:
        """Without what only our runtime understands, and with one request for each connection."""
        kept = [
            f"{name}: {value}"
            for name, value in self.headers
            if not name.lower().startswith("runtime-") and name.lower() != "connection"
        ]
        lines = [f"{self.method} {self.target} HTTP/1.1", *kept, "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE_BYTES):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def cloud_before(runtime: Callable[[], tuple[str, int]]) -> AsyncIterator[Cloud]:
    """The layer for the length of the block."""
    cloud = Cloud(runtime)
    await cloud.start()
    try:
        yield cloud
    finally:
        await cloud.stop()
