"""How a sandbox begins: taken from the warm ones or made anew, with what runs in it by itself."""

from runtime.host.background import to_its_end
from runtime.host.engine import Engine
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.starting import bring_up
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.host.warm import WarmSandboxes
from runtime.settings import RuntimeSettings


class Beginnings:
    """Makes sandboxes, and starts those that have files alone."""

    def __init__(
        self,
        settings: RuntimeSettings,
        store: Store,
        engine: Engine,
        user_ids: UserIds,
        warm: WarmSandboxes,
    ) -> None:
        self._settings = settings
        self._store = store
        self._engine = engine
        self._user_ids = user_ids
        self._warm = warm

    async def make(self, record: SandboxRecord) -> None:
        """Make a new sandbox; where that fails nothing is left of it."""
        warm = self._warm.give(record)
        try:
            if warm is None:
                record.user_id = self._user_ids.take()
                await to_its_end(self._store.make, record)
                await self.begin(record)
            else:
                await self._engine.put_to_use(warm)
                await self._start_programs(warm)
        except BaseException:
            await self._warm.remove(record)
            raise

    async def begin(self, record: SandboxRecord) -> None:
        """Start the supervisor of a sandbox that has none, and what runs in it by itself."""
        sandbox = await self._engine.start(record)
        try:
            await self._start_programs(sandbox)
        except BaseException:
            await self._engine.stop(record)
            raise

    async def _start_programs(self, sandbox: Sandbox) -> None:
        start = sandbox.record.start
        if start is not None:
            await bring_up(sandbox, start, lambda *_: None, self._settings.ready_timeout)
