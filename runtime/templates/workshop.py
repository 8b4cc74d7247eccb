"""Sandboxes to build in: begun on layers, and in the end kept as another layer or thrown away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runtime.host.captures import Captures
from runtime.host.engine import Engine
from runtime.host.record import Limits
from runtime.host.requests import SandboxRequest, new_record
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.layers.errors import LayerNotFoundError
from runtime.layers.store import LayerStore
from runtime.settings import RuntimeSettings

BUILDING = "build"


class Workshop:
    """Its sandboxes are nobody's: they are in no list. One that a killed runtime left ends at once."""

    def __init__(
        self,
        settings: RuntimeSettings,
        engine: Engine,
        store: Store,
        user_ids: UserIds,
        layers: LayerStore,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._user_ids = user_ids
        self._layers = layers
        self._captures = Captures(store, layers)

    def has(self, layers: Sequence[str]) -> bool:
        """Whether all these layers are still here."""
        try:
            self._layers.check(layers)
        except LayerNotFoundError:
            return False
        return True

    def free_bytes(self) -> int:
        """Room for what sandboxes write, all together."""
        return self._store.free_bytes()

    async def open(self, layers: Sequence[str], limits: Limits) -> Sandbox:
        """A sandbox on these layers, topmost first; whoever opens it closes it."""
        request = SandboxRequest(template=BUILDING, lifetime=0, layers=tuple(layers), standard=limits)
        record = new_record(request, self._settings, self._user_ids.take())
        try:
            await asyncio.to_thread(self._store.make, record)
            return await self._engine.start(record)
        except BaseException:
            await self._remove(record.id, record.user_id)
            raise

    @asynccontextmanager
    async def kept(self, sandbox: Sandbox) -> AsyncIterator[list[str]]:
        """End a sandbox; gives the layers that show its files, held until the block ends."""
        await self._engine.stop(sandbox.record)
        async with self._captures.of(sandbox.record, None) as layers:
            yield layers

    async def close(self, sandbox: Sandbox) -> None:
        """End a sandbox, and remove what it has changed."""
        await self._engine.stop(sandbox.record)
        await self._remove(sandbox.id, sandbox.record.user_id)

    def sweep(self) -> None:
        """Remove the layers that nobody needs any more."""
        self._layers.sweep()

    async def _remove(self, sandbox_id: str, user_id: int | None) -> None:
        await asyncio.to_thread(self._store.remove, sandbox_id)
        self._user_ids.give_back(user_id)
