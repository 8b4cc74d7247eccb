"""Signals over Valkey: hints that something new is in the database.

The database is the truth; a signal only says where to look. A lost one costs a listener the time until it
looks by itself (`Listener.wait` has a bound), never data. So publishing never waits and never fails: what
does not fit the queue is dropped.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger()

_CHANNEL_PREFIX = "commandcenter:signal:"
_MOST_QUEUED = 10_000
_MOST_PENDING_TOPICS = 1_000
_RECONNECT_SECONDS = 0.5


def sandbox_topic(project_id: UUID) -> str:
    """Some sandbox of the project has changed; the payload is its id."""
    return f"sandboxes:{project_id}"


def execution_topic(sandbox_id: UUID) -> str:
    """Some execution of the sandbox has changed; the payload is its id."""
    return f"executions:{sandbox_id}"


def log_topic(sandbox_id: UUID) -> str:
    """New output of the sandbox is stored; see `log_payload`."""
    return f"logs:{sandbox_id}"


def log_payload(execution_id: UUID, process_id: UUID) -> str:
    """Whose output is new, and which process stored it (its own subscribers have it already)."""
    return f"{execution_id}/{process_id}"


def queue_topic(provider: str) -> str:
    """Something has changed in the queue of a provider's account; the payload is its name."""
    return f"queues:{provider}"


def key_topic() -> str:
    """A key was revoked; the payload is its id."""
    return "keys"


class Listener:
    """One listener's pending signals: each different one is kept once, so a flood stays small."""

    def __init__(self, wake: asyncio.Event | None = None) -> None:
        self._pending: dict[tuple[str, str], None] = {}
        self._wake = wake or asyncio.Event()
        self._lost_track = False

    def offer(self, topic: str, payload: str) -> None:
        """Take a signal; beyond the bound only remember that some were dropped."""
        if len(self._pending) < _MOST_PENDING_TOPICS:
            self._pending[topic, payload] = None
            self._wake.set()
        else:
            self.lose_track()

    def lose_track(self) -> None:
        """Signals may have been missed: the listener has to look for itself."""
        self._lost_track = True
        self._wake.set()

    def take_all(self) -> list[tuple[str, str]] | None:
        """The (topic, payload) pairs since the last call; None when some were missed."""
        pending = None if self._lost_track else list(self._pending)
        self._pending.clear()
        self._lost_track = False
        return pending

    async def wait(self, timeout_seconds: float) -> list[tuple[str, str]] | None:
        """Wait for signals, at most `timeout_seconds`; None means: look for yourself."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_seconds)
        except TimeoutError:
            return None
        self._wake.clear()
        return self.take_all()

    async def wait_for(self, payload: str, timeout_seconds: float) -> None:
        """Wait until a signal has this payload, or until it is time to look for yourself."""
        while True:
            signals = await self.wait(timeout_seconds)
            if signals is None or any(each == payload for _, each in signals):
                return


class Signals:
    """This process's connection to the signals of all processes."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, health_check_interval=15, socket_connect_timeout=5)
        self._outgoing: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_MOST_QUEUED)
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._send(), name="signals-send"),
            asyncio.create_task(self._receive(), name="signals-receive"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    async def ping(self) -> None:
        """Raise unless Valkey answers."""
        await self._redis.ping()

    def publish(self, topic: str, payload: str) -> None:
        """Signal to every process, this one included; never waits."""
        with contextlib.suppress(asyncio.QueueFull):
            self._outgoing.put_nowait((topic, payload))

    @contextlib.contextmanager
    def listen(self, *topics: str, wake: asyncio.Event | None = None) -> Iterator[Listener]:
        """Receive the signals of `topics` for as long as the block runs.

        `wake` is set when one comes, for listeners that wait for other things too.
        """
        listener = Listener(wake)
        for topic in topics:
            self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            for topic in topics:
                self._listeners[topic].discard(listener)
                if not self._listeners[topic]:
                    del self._listeners[topic]

    async def _send(self) -> None:
        while True:
            topic, payload = await self._outgoing.get()
            batch = {(topic, payload): None}
            while not self._outgoing.empty():
                batch[self._outgoing.get_nowait()] = None
            try:
                pipeline = self._redis.pipeline(transaction=False)
                for each_topic, each_payload in batch:
                    pipeline.publish(_CHANNEL_PREFIX + each_topic, each_payload)
                await pipeline.execute()
            except (RedisError, OSError) as error:
                _log.warning("signals.send_failed", error=str(error), dropped=len(batch))
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _receive(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.psubscribe(_CHANNEL_PREFIX + "*")
                    self._lose_track()
                    async for message in pubsub.listen():
                        self._deliver(message["channel"].decode(), message["data"].decode())
            except (RedisError, OSError) as error:
                _log.warning("signals.receive_failed", error=str(error))
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _deliver(self, channel: str, payload: str) -> None:
        topic = channel.removeprefix(_CHANNEL_PREFIX)
        for listener in self._listeners.get(topic, ()):
            listener.offer(topic, payload)

    def _lose_track(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.lose_track()
