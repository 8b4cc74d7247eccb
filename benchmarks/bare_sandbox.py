"""bubblewrap with the very profile of the runtime's sandboxes, around `true` instead of a supervisor."""

import os
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Self

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
        self._numbers = count()
        self._launcher = Launcher()

    async def __aenter__(self) -> Self:
        self._launcher.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._launcher.close()

    async def run_true(self) -> float:
        """Make a sandbox, run `true` in it, see its end; returns the seconds that it took."""
        with tempfile.TemporaryFile() as complaints:
            nothing = os.open(os.devnull, os.O_RDWR)
            data = self._new_data()
            places = TreePlaces.of(self._layout, data, own_ids=runs_as_root(), own_programs=runs_as_root())
            arguments = self._arguments(places, data)
            try:
                started = time.perf_counter()
                pid = await self._launcher.start(
                    arguments,
                    descriptors=(nothing, nothing, nothing, complaints.fileno()),
                    first_id=self._settings.user_id_first if runs_as_root() else None,
                    staging=str(self._layout.staging),
                    trees=list(places.mounted),
                    hidden=str(self._layout.sandboxes),
                )
                status = await self._launcher.ended(pid, _SECONDS)
                seconds = time.perf_counter() - started
            finally:
                os.close(nothing)
            complaints.seek(0)
            if status != 0:
                raise RuntimeError(f"bubblewrap did not run `true`: {complaints.read().decode()}")
        return seconds

    def _new_data(self) -> Path:
        """Where a sandbox writes: no two may have the same."""
        data = self._layout.sandboxes / str(next(self._numbers))
        for name in ("up/root", "up/usr", "work/root", "work/usr"):
            (data / name).mkdir(parents=True)
        return data

    def _arguments(self, places: TreePlaces, data: Path) -> list[str]:
        launch = Launch(
            trees=places.trees(skeleton=self._programs.skeleton, layers=[], data=data),
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
