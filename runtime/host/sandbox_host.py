"""All sandboxes of this machine and their states: made, found, paused, resumed, ended.

Every change of a sandbox's state goes through here, one at a time for each sandbox.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from runtime.host import background
from runtime.host.beginnings import Beginnings
from runtime.host.captures import Captures
from runtime.host.endings import Endings
from runtime.host.engine import Engine
from runtime.host.errors import (
    HostError,
    HostStoppingError,
    IdempotencyMismatchError,
    InvalidSandboxRequestError,
    SandboxConflictError,
    SandboxLimitError,
    SandboxNotFoundError,
    SandboxUnresponsiveError,
)
from runtime.host.journal import Journal, tell_of_process
from runtime.host.process import Process
from runtime.host.record import EndReason, SandboxRecord
from runtime.host.requests import SandboxRequest, new_record
from runtime.host.sandbox import Sandbox
from runtime.host.stillness import Stillness
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.host.warm import WarmSandboxes
from runtime.layers.store import LayerStore
from runtime.network.fields import with_egress
from runtime.network.offer import NetworkOffer
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime.host")

STOPS_AT_ONCE = 8


class SandboxHost:
    """The registry of sandboxes."""

    def __init__(
        self,
        settings: RuntimeSettings,
        store: Store,
        engine: Engine,
        user_ids: UserIds,
        journal: Journal,
        endings: Endings,
        network: NetworkOffer,
        layers: LayerStore,
    ) -> None:
        self.records: dict[str, SandboxRecord] = {}
        self.journal = journal
        """What happened to each sandbox."""
        self.endings = endings
        """How sandboxes ended."""
        self._settings = settings
        self._store = store
        self._engine = engine
        self._user_ids = user_ids
        self._network = network
        self._layers = layers
        self._captures = Captures(store, layers)
        self._stillness = Stillness(store)
        self._locks: dict[str, asyncio.Lock] = {}
        self._by_idempotency_key: dict[tuple[str, str], asyncio.Task[SandboxRecord]] = {}
        self._creations: set[asyncio.Task[SandboxRecord]] = set()
        self._making = 0
        self._volumes_held: Counter[str] = Counter()
        self.warm = WarmSandboxes(settings, store, engine, user_ids, lambda: self._making > 0)
        self._beginnings = Beginnings(settings, store, engine, user_ids, self.warm)
        self._stopping = False
        engine.on_lost = self._supervisor_lost
        engine.on_process = self._tell_of_process

    def find(self, sandbox_id: str, team: str | None = None) -> SandboxRecord:
        """A sandbox's record; for a team, only one of its own."""
        record = self.records.get(sandbox_id)
        if record is None or team not in (None, record.team):
            raise SandboxNotFoundError(f'sandbox "{sandbox_id}" not found')
        return record

    def live(self, sandbox_id: str) -> Sandbox | None:
        """A sandbox that runs now, or None."""
        record = self.records.get(sandbox_id)
        return self._engine.find(sandbox_id) if record is not None and record.state == "running" else None

    def all_live(self) -> list[Sandbox]:
        """Every sandbox that runs now."""
        found = (self.live(sandbox_id) for sandbox_id in list(self.records))
        return [sandbox for sandbox in found if sandbox is not None]

    async def reach(self, sandbox_id: str) -> Sandbox | None:
        """A sandbox for a request to it: a paused one that is to wake by itself is resumed.

        One that somebody paused without its memory waits to be resumed by somebody, as on E2B.
        """
        record = self.records.get(sandbox_id)
        if record is not None and record.wakes_by_itself and not self._stopping:
            await self.resume(sandbox_id, lifetime=max(record.lifetime, self._settings.default_timeout))
        return self.live(sandbox_id)

    async def create(self, request: SandboxRequest, idempotency_key: str | None = None) -> SandboxRecord:
        """Make a sandbox and start it; the same idempotency key gives a team the same one again."""
        self._refuse_when_stopping()
        if idempotency_key is None:
            return await self._make(request, None)
        for record in self.records.values():
            if (record.team, record.idempotency_key) == (request.team, idempotency_key):
                return _same(record, request)
        name = request.team, idempotency_key
        making = self._by_idempotency_key.get(name)
        if making is None:
            making = self._make(request, idempotency_key)
            self._by_idempotency_key[name] = making
            making.add_done_callback(lambda _: self._by_idempotency_key.pop(name, None))
        return _same(await asyncio.shield(making), request)

    async def kill(self, sandbox_id: str, reason: EndReason = "KILLED") -> None:
        """End a sandbox and remove its files."""
        async with self._locked(sandbox_id) as record:
            await self._end(record, reason)

    async def pause(self, sandbox_id: str, *, memory: bool = True, strict: bool = False) -> None:
        """Stop a sandbox's processes where they stand; without memory, end them and keep its files.

        Strictly, one whose supervisor doesn't answer is left as it is: `SandboxUnresponsiveError`.
        """
        async with self._locked(sandbox_id) as record:
            if strict and record.state == "running" and not await self._answers(sandbox_id):
                raise SandboxUnresponsiveError(
                    f"sandbox {sandbox_id} does not answer; it was not paused and keeps running"
                )
            await self._pause(record, memory=memory)

    async def resume(self, sandbox_id: str, *, lifetime: int, memory: bool = True) -> bool:
        """Let a paused sandbox run for so many seconds; one that runs lives at least so long.

        Gives whether it was paused. Without memory its processes are not taken up again.
        """
        self.check_lifetime(lifetime)
        async with self._locked(sandbox_id) as record:
            end_at = datetime.now(UTC) + timedelta(seconds=lifetime)
            if record.state == "running":
                record.end_at = max(record.end_at, end_at)
                self._store.save(record)
                return False
            self._refuse_when_stopping()
            sandbox = self._engine.find(sandbox_id)
            if sandbox is not None and not memory:
                await self._engine.stop(record)
                sandbox = None
            if sandbox is None:
                await self._beginnings.begin(record)
            else:
                await self._stillness.resume(record, sandbox)
            record.state, record.frozen = "running", False
            record.paused_at = None
            record.interrupted = False
            record.end_at = end_at
            self._store.save(record)
            self.journal.write(sandbox_id, "sandbox resumed", processes="kept" if memory else "ended")
            log.info("sandbox_resumed", sandbox=sandbox_id)
            return True

    @asynccontextmanager
    async def captured(self, sandbox_id: str) -> AsyncIterator[tuple[SandboxRecord, list[str]]]:
        """A sandbox's record, and layers that show its files as they are now, held until the block ends.

        One that runs stands still meanwhile; it is not locked any more when the block begins.
        """
        async with AsyncExitStack() as stack:
            async with self._locked(sandbox_id) as record:
                self._refuse_when_stopping()
                sandbox = self._engine.find(sandbox_id)
                layers = await stack.enter_async_context(self._captures.of(record, sandbox))
                self.journal.write(sandbox_id, "sandbox captured", layers=len(layers))
            yield record, layers

    def set_lifetime(self, sandbox_id: str, lifetime: int) -> None:
        """Let a sandbox end so many seconds from now."""
        self.check_lifetime(lifetime)
        record = self.find(sandbox_id)
        record.end_at = datetime.now(UTC) + timedelta(seconds=lifetime)
        self._store.save(record)
        self.journal.write(sandbox_id, "timeout set", level="debug", seconds=lifetime)

    def set_network(
        self, sandbox_id: str, allow_internet_access: bool | None, egress: Mapping[str, Any]
    ) -> None:
        """Replace what a sandbox may reach, at once and for connections that are open; the rest stays."""
        record = self.find(sandbox_id)
        policy = self._network.policy(allow_internet_access, egress)
        record.allow_internet_access = allow_internet_access
        record.network = with_egress(record.network, egress)
        self._store.save(record)
        sandbox = self._engine.find(sandbox_id)
        if sandbox is not None and sandbox.egress is not None:
            sandbox.egress.policy = policy
        self.journal.write(sandbox_id, "network set")

    def check_lifetime(self, lifetime: int) -> None:
        """Refuse a life that is longer than may be asked for."""
        longest = self._settings.longest_timeout
        if lifetime > longest:
            raise InvalidSandboxRequestError(f"Timeout cannot be greater than {longest / 3600:g} hours")

    async def expire_due(self) -> None:
        """End or pause every sandbox whose time is over."""
        now = datetime.now(UTC)
        for record in list(self.records.values()):
            counts = record.state == "running" or record.interrupted
            if counts and record.end_at <= now and not self._lock(record.id).locked():
                background.add(self._expire(record.id))

    async def take_up_all(self) -> None:
        """Take up what an earlier runtime left: live sandboxes, and the files of others."""
        for record in await asyncio.to_thread(self._store.load_all):
            never_made = record.is_warm or (record.state == "running" and record.pid1 is None)
            if never_made or self.endings.find(record.id) is not None:
                # Its making or its end was cut short, or it was kept warm; nobody counts on it.
                if record.pid1 is not None:
                    await asyncio.to_thread(record.pid1.kill)
                await asyncio.to_thread(self._store.remove, record.id)
                continue
            self.records[record.id] = record
            self._user_ids.claim(record.user_id)
            sandbox = await self._engine.take_up(record)
            await asyncio.to_thread(self._captures.recover, record)
            if sandbox is not None:
                await self._stillness.settle(record, sandbox)
                log.info("sandbox_taken_up", sandbox=record.id, state=record.state)
                continue
            record.pid1, record.frozen = None, False
            if record.state == "running":
                record.state, record.pause_mode, record.interrupted = "paused", "filesystem", True
            record.pause_mode = "filesystem"
            self._store.save(record)
            self.journal.write(record.id, "sandbox paused", level="warn", reason="the runtime stopped")
            log.info("sandbox_kept_as_files", sandbox=record.id)
        self.endings.sweep(set(self.records))

    async def close(self) -> None:
        """End every sandbox's processes, and keep its files for the next runtime."""
        self._stopping = True
        await self.warm.close()
        await asyncio.sleep(0)  # those that have not begun refuse by themselves
        for creation in self._creations:
            creation.cancel()
        await asyncio.gather(*self._creations, return_exceptions=True)
        bound = asyncio.Semaphore(STOPS_AT_ONCE)
        await asyncio.gather(*(self._interrupt(record, bound) for record in list(self.records.values())))

    def volumes(self) -> set[str]:
        """The ids of those that some sandbox has, or is about to have."""
        mounted = {mount.volume_id for record in self.records.values() for mount in record.volumes}
        return mounted | set(self._volumes_held)

    def _make(self, request: SandboxRequest, idempotency_key: str | None) -> asyncio.Task[SandboxRecord]:
        making = asyncio.ensure_future(self._create(request, idempotency_key))
        self._creations.add(making)
        making.add_done_callback(self._creations.discard)
        return making

    async def _create(self, request: SandboxRequest, idempotency_key: str | None) -> SandboxRecord:
        self._refuse_when_stopping()
        self._network.policy(request.allow_internet_access, request.network)
        self.check_lifetime(request.lifetime)
        limit = self._settings.sandbox_limit
        if len(self.records) + self._making >= limit:
            raise SandboxLimitError(f"you have reached the maximum number of concurrent sandboxes ({limit})")
        self._layers.check(request.layers)
        volumes = Counter(mount.volume_id for mount in request.volumes)
        self._volumes_held += volumes
        self._making += 1
        try:
            with self._layers.holding(request.layers):
                record = new_record(request, self._settings, None)
                record.idempotency_key = idempotency_key
                record.idempotency_digest = request.digest if idempotency_key else None
                await self._beginnings.make(record)
                self.records[record.id] = record
        except asyncio.CancelledError:
            self._refuse_when_stopping()
            raise
        finally:
            self._making -= 1
            self._volumes_held -= volumes
        self.journal.write(record.id, "sandbox created", template=record.template)
        log.info("sandbox_created", sandbox=record.id, template=record.template, team=record.team)
        return record

    async def _pause(self, record: SandboxRecord, *, memory: bool) -> None:
        if record.state == "paused":
            raise SandboxConflictError(f"sandbox {record.id} is already paused")
        sandbox = self._engine.find(record.id)
        if memory and sandbox is not None:
            await self._stillness.pause(record, sandbox)
        else:
            # First of all no request may reach it any more.
            record.state, record.pause_mode, record.paused_at = "paused", "filesystem", datetime.now(UTC)
            await self._engine.stop(record)
            self._store.save(record)
        self.journal.write(record.id, "sandbox paused", mode=record.pause_mode)
        log.info("sandbox_paused", sandbox=record.id, mode=record.pause_mode)

    async def _expire(self, sandbox_id: str) -> None:
        if sandbox_id not in self.records:
            return
        async with self._locked(sandbox_id) as record:
            if record.end_at > datetime.now(UTC):
                return
            if record.auto_pause and record.state == "paused":
                record.interrupted = False
                self._store.save(record)
            elif record.auto_pause:
                try:
                    await self._pause(record, memory=record.auto_pause_memory)
                except HostError as error:
                    # Its time is over, so it may not run on; its files are kept at least.
                    log.warning("sandbox_paused_without_memory", sandbox=record.id, error=str(error))
                    await self._pause(record, memory=False)
            else:
                await self._end(record, "EXPIRED")

    async def _end(self, record: SandboxRecord, reason: EndReason) -> None:
        self.records.pop(record.id, None)
        self.endings.add(record, reason)
        await self._engine.stop(record)
        await asyncio.to_thread(self._store.remove, record.id)
        self._layers.sweep()
        self._user_ids.give_back(record.user_id)
        log.info("sandbox_ended", sandbox=record.id, reason=reason)

    async def _interrupt(self, record: SandboxRecord, bound: asyncio.Semaphore) -> None:
        async with bound, self._lock(record.id):
            if record.id not in self.records or self._engine.find(record.id) is None:
                return
            was_running = record.state == "running"
            record.state, record.pause_mode = "paused", "filesystem"
            record.interrupted = record.interrupted or was_running
            await self._engine.stop(record)
            self._store.save(record)

    async def _answers(self, sandbox_id: str) -> bool:
        sandbox = self._engine.find(sandbox_id)
        return sandbox is not None and await sandbox.answers()

    def _tell_of_process(self, sandbox: Sandbox, process: Process) -> None:
        # Others are those that templates are built in, or that are not handed out yet.
        if sandbox.id in self.records:
            tell_of_process(self.journal, sandbox.id, process)

    def _supervisor_lost(self, sandbox: Sandbox) -> None:
        reason: EndReason = "OUT_OF_MEMORY" if sandbox.ran_out_of_memory() else "CRASHED"
        background.add(self._end_lost(sandbox.id, reason))

    async def _end_lost(self, sandbox_id: str, reason: EndReason) -> None:
        if sandbox_id in self.records:
            await self.kill(sandbox_id, reason)
        else:
            await self.warm.lost(sandbox_id)

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise HostStoppingError("The runtime is stopping; its sandboxes' files are kept.")

    def _lock(self, sandbox_id: str) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_id, asyncio.Lock())

    @asynccontextmanager
    async def _locked(self, sandbox_id: str) -> AsyncIterator[SandboxRecord]:
        """The record, for a change of its state; it may have ended while we waited for our turn."""
        self.find(sandbox_id)
        async with self._lock(sandbox_id):
            yield self.find(sandbox_id)
        if sandbox_id not in self.records:
            self._locks.pop(sandbox_id, None)


def _same(record: SandboxRecord, request: SandboxRequest) -> SandboxRecord:
    if record.idempotency_digest != request.digest:
        raise IdempotencyMismatchError(
            "this Idempotency-Key stands for another request; send that one again, or take a new key"
        )
    return record
