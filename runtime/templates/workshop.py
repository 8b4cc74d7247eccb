"""Sandboxes to build in: begun on layers, and in the end kept as another layer or thrown away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from runtime.host.engine import Engine
from runtime.host.record import Limits
from runtime.host.requests import SandboxRequest, new_record
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.layers.store import LayerStore, new_layer_id
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime.templates")


class Workshop:
    """Its sandboxes are nobody's: they are in no list. One that a killed runtime left ends at once."""

    def __init__(
        self, settings: RuntimeSettings, layers: LayerStore, engine: Engine, store: Store, user_ids: UserIds
    ) -> None:
        self._settings = settings
        self._layers = layers
        self._engine = engine
        self._store = store
        self._user_ids = user_ids

    def has(self, layers: Sequence[str]) -> bool:
        """Whether all these layers are still here."""
        return all(self._layers.folder(layer).is_dir() for layer in layers)

    async def open(self, layers: Sequence[str], limits: Limits) -> Sandbox:
        """A sandbox on these layers, topmost first; whoever opens it closes it."""
        request = SandboxRequest(template="build", lifetime=0, layers=tuple(layers), limits=limits)
        record = new_record(request, self._settings, self._user_ids.take())
        try:
            await asyncio.to_thread(self._store.make, record)
            return await self._engine.start(record)
        except BaseException:
            await self._remove(record.id, record.user_id)
            raise

    def free_bytes(self) -> int:
        """Room for what sandboxes write, all together."""
        return self._store.free_bytes()

    @asynccontextmanager
    async def kept(self, sandbox: Sandbox) -> AsyncIterator[list[str]]:
        """End a sandbox, and keep what it has changed as a layer upon its own.

        The layers are held until the block ends: save them in a record, or in a job, within.
        """
        await self._engine.stop(sandbox.record)
        layer = new_layer_id()
        with self._layers.holding([layer]):
            await asyncio.to_thread(self._layers.take, layer, self._store.data(sandbox.id) / "up")
            async with self._layers.flattened([layer, *sandbox.record.layers]) as layers:
                yield layers

    async def sweep(self) -> None:
        """Remove the layers that nobody uses any more."""
        await self._layers.sweep()

    async def close(self, sandbox: Sandbox) -> None:
        """End a sandbox, and remove what it has changed."""
        await self._engine.stop(sandbox.record)
        await self._remove(sandbox.id, sandbox.record.user_id)

    async def _remove(self, sandbox_id: str, user_id: int | None) -> None:
        await asyncio.to_thread(self._store.remove, sandbox_id)
        self._user_ids.give_back(user_id)
