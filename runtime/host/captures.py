"""Capture what a sandbox has changed as a layer: copied while it is frozen, or taken where it is stopped."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from runtime.host.background import to_its_end
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.stillness import Stillness
from runtime.host.store import Store
from runtime.layers.store import LayerStore, new_layer_id

log = structlog.get_logger("runtime.captures")


class Captures:
    """Captures of sandboxes; whoever asks for one holds the sandbox's lock meanwhile."""

    def __init__(self, store: Store, layers: LayerStore) -> None:
        self._store = store
        self._layers = layers
        self._stillness = Stillness(store)

    @asynccontextmanager
    async def of(self, record: SandboxRecord, sandbox: Sandbox | None) -> AsyncIterator[list[str]]:
        """The layers that show what a sandbox's files are now, topmost first; held until the block ends.

        `sandbox` is None where no supervisor runs. Raises `DiskFullError`, `TreeTooDeepError` or
        `CaptureTooSlowError`, and leaves the sandbox as it was.
        """
        layers = list(record.layers)
        changed = await asyncio.to_thread(self._has_changes, record)
        if changed:
            layers.insert(0, new_layer_id())
        with self._layers.holding(layers):
            if changed and sandbox is None:
                await self._take(record, layers)
            elif changed and sandbox is not None:
                await self._copy(record, sandbox, layers[0])
            async with self._layers.flattened(layers) as flattened:
                if sandbox is None and flattened != record.layers:
                    # What it lies on grows by one with each capture, and so would those it has to lie on.
                    record.layers = [*flattened]
                    self._store.save(record)
                yield flattened
        self._layers.sweep()

    def recover(self, record: SandboxRecord) -> None:
        """Bring to its end what a killed runtime had begun."""
        changes = self._changes(record)
        if changes.with_name("work").is_dir():  # else its files are out of reach for now
            record.layers = self._layers.retake(record.layers, changes)

    async def _take(self, record: SandboxRecord, layers: Sequence[str]) -> None:
        # The record goes first: a runtime that is killed here finds by it what became of the files.
        record.layers = [*layers]
        self._store.save(record)
        try:
            await to_its_end(self._layers.take, layers[0], self._changes(record))
        except BaseException:
            self.recover(record)
            self._store.save(record)
            raise

    async def _copy(self, record: SandboxRecord, sandbox: Sandbox, layer: str) -> None:
        began = time.monotonic()
        async with self._stillness.during(record, sandbox):
            await to_its_end(self._layers.copy, layer, self._changes(record))
        log.info(
            "sandbox_captured", sandbox=record.id, layer=layer, seconds=round(time.monotonic() - began, 3)
        )

    def _changes(self, record: SandboxRecord) -> Path:
        return self._store.data(record.id) / "up"

    def _has_changes(self, record: SandboxRecord) -> bool:
        return any(any(tree.iterdir()) for tree in self._changes(record).iterdir())
