"""bubblewrap with the very profile of the runtime's sandboxes, around `true` instead of a supervisor."""

import asyncio
import os
import time
from pathlib import Path

from runtime.host.bubblewrap import Launch, command
from runtime.host.launcher import Launcher, runs_as_root
from runtime.host.layout import prepare_layout
from runtime.host.staging import stage
from runtime.host.tree_places import TreePlaces
from runtime.settings import RuntimeSettings

_SECONDS = 30


class BareSandbox:
    """What a sandbox costs at the least on this machine: namespaces, mounts, a process, and their end."""

    def __init__(self, folder: Path) -> None:
        self._settings = RuntimeSettings(state_directory=folder)
        self._layout = prepare_layout(folder)
        self._programs = stage(self._layout)
        self._data = self._layout.sandboxes / "data"
        for name in ("up/root", "up/usr", "work/root", "work/usr"):
            (self._data / name).mkdir(parents=True)

    def run_true(self) -> float:
        """Make a sandbox, run `true` in it, see its end; returns the seconds that it took."""
        return asyncio.run(self._run_true())

    async def _run_true(self) -> float:
        launcher = Launcher()
        launcher.open()
        nothing = os.open(os.devnull, os.O_RDWR)
        places = TreePlaces.of(self._layout, own_ids=runs_as_root(), own_programs=runs_as_root())
        try:
            started = time.perf_counter()
            pid = await launcher.start(
                self._arguments(places),
                descriptors=(nothing, nothing, nothing, nothing),
                first_id=self._settings.user_id_first if runs_as_root() else None,
                staging=str(self._layout.staging),
                trees=list(places.mounted),
            )
            if await launcher.ended(pid, _SECONDS) != 0:
                raise RuntimeError("bubblewrap did not run `true`")
            return time.perf_counter() - started
        finally:
            os.close(nothing)
            launcher.close()

    def _arguments(self, places: TreePlaces) -> list[str]:
        launch = Launch(
            trees=places.trees(skeleton=self._programs.skeleton, layers=[], data=self._data),
            inside=self._programs.inside,
            python=self._programs.python,
            python_root=self._programs.python_root,
            own_ids=runs_as_root(),
            scratch_bytes=1 << 28,
            shared_memory_bytes=1 << 26,
            lease=0,
            limits="",
        )
        supervised = command(self._programs.bubblewrap, launch)
        return [*supervised[: supervised.index("--") + 1], "/usr/bin/true"]
