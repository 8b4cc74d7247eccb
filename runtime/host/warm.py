"""Sandboxes that were started before anybody asked for them, so that the next one is there at once."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog

from runtime.host.engine import Engine
from runtime.host.errors import HostError
from runtime.host.record import SandboxRecord
from runtime.host.requests import SandboxRequest, new_record
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime.warm")

QUIET_SECONDS = 0.05
"""For so long nobody wished for a sandbox when a new one is started: whoever just got one runs something."""
LONGEST_WAIT_SECONDS = 2.0
LOOK_SECONDS = 0.02
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0


class WarmSandboxes:
    """Sandboxes of nobody: in no list, under no limit, and ended by the next runtime that finds them.

    One can be given where its supervisor runs as the one asked for would: with the same layers,
    limits and volumes. All else of a sandbox is known to the host alone, and is set when it is given.
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        store: Store,
        engine: Engine,
        user_ids: UserIds,
        is_busy: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._size = settings.warm_sandboxes
        self._store = store
        self._engine = engine
        self._user_ids = user_ids
        self._is_busy = is_busy
        self._ready: deque[Sandbox] = deque()
        self._wanted = asyncio.Event()
        self._last_wish = 0.0
        self._refilling: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[Sandbox] | None = None
        self._given = self._missed = self._failed = 0

    def begin(self) -> None:
        """Start the first ones in the background, and from then on one for each that was given."""
        if self._size:
            self._wanted.set()
            self._refilling = asyncio.ensure_future(self._refill())

    def give(self, wanted: SandboxRecord) -> Sandbox | None:
        """A sandbox that runs and is this one from now on; None where none fits."""
        self._last_wish = time.monotonic()
        sandbox = next((each for each in self._ready if self._fits(each, wanted)), None)
        if sandbox is None:
            self._missed += 1
            return None
        self._ready.remove(sandbox)
        self._wanted.set()
        self._given += 1
        made = sandbox.record
        wanted.id, wanted.user_id = made.id, made.user_id
        wanted.pid1, wanted.programs = made.pid1, made.programs
        sandbox.record = wanted
        return sandbox

    def _fits(self, sandbox: Sandbox, wanted: SandboxRecord) -> bool:
        return not sandbox.ended.is_set() and self._engine.starts_alike(sandbox.record, wanted)

    def counters(self) -> dict[str, int]:
        """How many there are, and how it went since the runtime's start."""
        return {
            "size": self._size,
            "ready": len(self._ready),
            "given": self._given,
            "missed": self._missed,
            "failed": self._failed,
        }

    async def lost(self, sandbox_id: str) -> None:
        """One ended by itself, if it is of these."""
        sandbox = next((each for each in self._ready if each.id == sandbox_id), None)
        if sandbox is not None:
            self._ready.remove(sandbox)
            self._wanted.set()
            await self.remove(sandbox.record)

    async def remove(self, record: SandboxRecord) -> None:
        """End one, and leave nothing of it."""
        await self._engine.stop(record)
        await asyncio.to_thread(self._store.remove, record.id)
        self._user_ids.give_back(record.user_id)

    async def close(self) -> None:
        """End them all."""
        if self._refilling is not None:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        if self._starting is not None:
            # Broken off in its midst, a start would leave a supervisor that nobody knows.
            with suppress(HostError, OSError):
                self._ready.append(await self._starting)
        while self._ready:
            await self.remove(self._ready.popleft().record)

    async def _refill(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._wanted.wait()
            await self._quiet()
            try:
                self._starting = asyncio.ensure_future(self._start())
                self._ready.append(await asyncio.shield(self._starting))
                self._starting = None
                pause = FIRST_PAUSE_SECONDS
            except (HostError, OSError) as error:
                self._starting = None
                self._failed += 1
                log.warning("no_warm_sandbox", error=str(error), next_try_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            if len(self._ready) >= self._size:
                self._wanted.clear()

    async def _quiet(self) -> None:
        """Wait until no sandbox is being made, so that none of those becomes slower; not for ever."""
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + LONGEST_WAIT_SECONDS:
            if not self._is_busy() and now > self._last_wish + QUIET_SECONDS:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _start(self) -> Sandbox:
        request = SandboxRequest(template="base", lifetime=0)
        record = new_record(request, self._settings, self._user_ids.take())
        record.is_warm = True
        try:
            await asyncio.to_thread(self._store.make, record)
            sandbox = await self._engine.bring_up(record)
            self._store.save(record)
        except BaseException:
            await self.remove(record)
            raise
        return sandbox
