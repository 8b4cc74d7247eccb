"""A sandbox's processes stopped where they stand and let go on, so that its record tells at every moment.

`frozen` is written before either is asked for, and taken back when it is done: a runtime that is killed in
between finds by it that the processes may not stand or run as the state says.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from runtime.host.errors import HostError
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store

log = structlog.get_logger("runtime.stillness")


class Stillness:
    """Stops and continues; whoever asks holds the sandbox's lock meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pause(self, record: SandboxRecord, sandbox: Sandbox) -> None:
        """Let a running sandbox be paused with its memory; where that fails it runs on as before."""
        mode, paused_at = record.pause_mode, record.paused_at
        # First of all no request may reach it any more.
        record.state, record.pause_mode, record.paused_at = "paused", "full", datetime.now(UTC)
        record.frozen = True
        try:
            self._store.save(record)
            await sandbox.pause()
        except BaseException:
            record.state, record.pause_mode, record.paused_at = "running", mode, paused_at
            await self._go_on(record, sandbox, 0)
            raise
        record.frozen = False
        self._store.save(record)

    async def resume(self, record: SandboxRecord, sandbox: Sandbox) -> None:
        """Let the processes of a paused sandbox go on; where that fails it stays paused.

        `frozen` stays set: whoever writes that the sandbox runs takes it back with the same stroke.
        """
        paused_at = record.paused_at or datetime.now(UTC)
        record.frozen = True
        try:
            self._store.save(record)
            await sandbox.resume((datetime.now(UTC) - paused_at).total_seconds())
        except BaseException:
            await self._stand_still(record, sandbox)
            raise

    @asynccontextmanager
    async def during(self, record: SandboxRecord, sandbox: Sandbox) -> AsyncIterator[None]:
        """Nothing in the sandbox moves until the block ends; a paused one stays paused afterwards."""
        if record.state == "paused":
            yield
            return
        since = datetime.now(UTC)
        record.frozen = True
        try:
            self._store.save(record)
            await sandbox.pause()
            yield
        finally:
            await self._go_on(record, sandbox, (datetime.now(UTC) - since).total_seconds())

    async def settle(self, record: SandboxRecord, sandbox: Sandbox) -> None:
        """Let the processes that an earlier runtime left stand or run as the state says."""
        if record.state == "paused":
            sandbox.hold()
            if record.frozen:
                await self._stand_still(record, sandbox)
        elif record.frozen:
            await self._go_on(record, sandbox, 0)

    async def _go_on(self, record: SandboxRecord, sandbox: Sandbox, seconds: float) -> None:
        try:
            await sandbox.resume(seconds)
        except HostError as error:
            # What was sent is done as soon as the supervisor looks; one that is gone is ended by others.
            log.warning("sandbox_does_not_go_on", sandbox=record.id, error=str(error))
        record.frozen = False
        self._store.save(record)

    async def _stand_still(self, record: SandboxRecord, sandbox: Sandbox) -> None:
        with suppress(HostError):
            await sandbox.pause()
            record.frozen = False
            self._store.save(record)
