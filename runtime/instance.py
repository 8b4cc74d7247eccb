"""The runtime's parts, put together: started before the first request, stopped after the last."""

import asyncio
import fcntl
import os
from contextlib import suppress
from typing import Any

import structlog

from runtime.guarantees import demand, held_guarantees
from runtime.host.disk.choice import choose_disks
from runtime.host.disk.watch import DiskWatch
from runtime.host.endings import Endings
from runtime.host.engine import Engine
from runtime.host.errors import HostError, MachineUnfitError
from runtime.host.journal import Journal
from runtime.host.layout import Layout
from runtime.host.limits import choose_mechanism
from runtime.host.limits.asked import shown_limits
from runtime.host.metrics import Metrics
from runtime.host.output_rate import OUTPUT_RATE_BOUND
from runtime.host.requests import largest_of, limits_of
from runtime.host.sandbox_host import SandboxHost
from runtime.host.self_test import run_self_test
from runtime.host.staging import remove_copies, stage
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.layers.store import LayerStore
from runtime.network.offer import NetworkOffer
from runtime.secrets import Secrets
from runtime.settings import RuntimeSettings
from runtime.templates.builder import BASE_IMAGES
from runtime.templates.snapshots import Snapshots
from runtime.templates.templates import Templates
from runtime.templates.workshop import Workshop
from runtime.volumes.store import VolumeStore

log = structlog.get_logger("runtime")

EXPIRY_SECONDS = 0.2


class Runtime:
    """One runtime, the only one on its state."""

    def __init__(self, settings: RuntimeSettings, layout: Layout) -> None:
        self.settings = settings
        self.capabilities: dict[str, Any] = {}
        self.layout = layout
        self._lock = _hold(layout)
        self._disks = choose_disks(layout)
        self._mechanism = choose_mechanism()
        self.bounds = {
            **self._mechanism.bounds,
            "disk": self._disks.bound,
            "output_rate": OUTPUT_RATE_BOUND,
        }
        self.guarantees = held_guarantees(self.bounds)
        demand(settings.require, self.guarantees)
        self._programs = stage(layout)
        self._store = Store(layout, self._disks)
        self._user_ids = UserIds(settings.user_id_first, settings.user_id_count)
        self.secrets = Secrets(layout.secrets_file)
        self._network = NetworkOffer(settings.network, settings.network_private_allowed, self.secrets.value)
        self._engine = Engine(
            settings, layout, self._programs, self._store, self._mechanism, self._disks, self._network
        )
        journal = Journal(layout.journals)
        endings = Endings(layout.endings, journal, settings.ended_kept)
        self.layers = LayerStore(layout)
        self.host = SandboxHost(
            settings,
            self._store,
            self._engine,
            self._user_ids,
            journal,
            endings,
            self._network,
            self.layers,
        )
        workshop = Workshop(settings, self._engine, self._store, self._user_ids, self.layers)
        self.templates = Templates(settings, layout, workshop, self.host.records.values)
        self.snapshots = Snapshots(self.host, self.templates.catalogue)
        self.layers.add_user(self._layers_of_sandboxes)
        self.layers.add_user(self.templates.layers)
        self.volumes = VolumeStore(layout, settings.volume_limit, self.host.volumes)
        self.disk_watch = DiskWatch(self._engine.running, self._store)
        self.metrics = Metrics(self.host, self.disk_watch, self._engine.running)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def python(self) -> str:
        """The interpreter's path inside every sandbox."""
        return self._programs.python_inside

    async def start(self) -> None:
        """Take up what is there, prove that the walls hold, and begin to watch the time."""
        await self._engine.open()
        await self.host.take_up_all()
        if self._store.unreadable:
            log.warning(
                "layers_not_swept", advice="a sandbox whose record can't be read may lie on any of them"
            )
        else:
            self.layers.open()
        used = {record.programs for record in self.host.records.values() if record.pid1 is not None}
        remove_copies(self.layout, kept=used | {self._programs.folder})
        self._mechanism.sweep()
        walls = await run_self_test(
            self.settings, self._engine, self._store, self._user_ids, self._programs.python_inside
        )
        self.capabilities.update(
            {
                "isolation": {
                    "mechanism": "bubblewrap",
                    "own_user_for_each_sandbox": os.geteuid() == 0,
                    "walls": walls,
                },
                "users": {
                    "own_ids_for_each_user": os.geteuid() == 0,
                    "programs_writable_by_root": self._engine.programs_are_writable,
                },
                "guarantees": self.guarantees,
                "limits": self._shown_limits(),
                "network": self._network.capabilities(),
                "pause": ["full", "filesystem"],
                "templates": {"images": list(BASE_IMAGES), "start_command": "in every new sandbox"},
                "memory_snapshots": False,
                "forks": "files only",
                "survives_restart_of_the_runtime": True,
                "survives_reboot": "files only",
            }
        )
        log.info("self_test_passed", limits=self._mechanism.name, walls=len(walls))
        self.host.warm.begin()
        self._tasks = [
            asyncio.ensure_future(work)
            for work in (self._watch_time(), self.metrics.run(), self.disk_watch.run())
        ]

    async def stop(self) -> None:
        """End every sandbox's processes, whose files stay; or leave them running for the next runtime."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.templates.builds.close()
        if self.settings.at_stop == "leave":
            await self._leave_running()
        else:
            await self.host.close()
            await self._close()
        log.info("runtime_stopped", kept=len(self.host.records))

    async def give_up(self) -> None:
        """Leave a start that failed: what an earlier runtime left running lives on, as long as its lease."""
        await self._leave_running()
        log.info("start_given_up", kept=len(self.host.records))

    async def _leave_running(self) -> None:
        await self.host.warm.close()
        await self._close()

    async def _close(self) -> None:
        self._engine.close()
        await asyncio.to_thread(self._disks.close)

    def _layers_of_sandboxes(self) -> set[str]:
        return {layer for record in self.host.records.values() for layer in record.layers}

    def _shown_limits(self) -> dict[str, Any]:
        """How each resource is bounded, what a sandbox has by default, and the most that it may ask for."""
        return {
            "mechanism": self._mechanism.name,
            **{name: bound.how for name, bound in self.bounds.items()},
            "default": shown_limits(limits_of(self.settings)),
            "largest": shown_limits(largest_of(self.settings)),
        }

    async def _watch_time(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            with suppress(HostError):
                await self.host.expire_due()


def _hold(layout: Layout) -> int:
    """The lock on the state, held as long as this process lives."""
    lock = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise MachineUnfitError(
            f"Another runtime serves from {layout.state}. Stop it, or set another RUNTIME_STATE_DIRECTORY."
        ) from None
    layout.address_file.unlink(missing_ok=True)
    return lock
