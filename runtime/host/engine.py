"""Start, take up and stop the supervisors of sandboxes. What a sandbox's state is, others decide."""

import asyncio
import os
from collections.abc import Callable

import structlog

from runtime.host.bubblewrap import ExtraMount, Launch
from runtime.host.disk.disks import Disks
from runtime.host.errors import HostError, SupervisorError
from runtime.host.launch import Launched, connect, launch
from runtime.host.launcher import Launcher, runs_as_root
from runtime.host.layout import Layout
from runtime.host.limits import LimitGroup, LimitMechanism
from runtime.host.output_rate import OutputRate
from runtime.host.process import Process
from runtime.host.process_start import OutputPolicy
from runtime.host.record import SandboxRecord
from runtime.host.sandbox import Sandbox
from runtime.host.staging import Programs
from runtime.host.store import Store
from runtime.host.tree_places import TreePlaces
from runtime.network.egress import PROXY_PORT, QUESTIONS_PORT, REDIRECTED_PORT, SandboxEgress
from runtime.network.offer import NetworkOffer
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime.engine")

OUTER_SECONDS = 10
STARTS_FOR_EACH_PROCESSOR = 2


class Engine:
    """The supervisors that run, by sandbox id."""

    def __init__(
        self,
        settings: RuntimeSettings,
        layout: Layout,
        programs: Programs,
        store: Store,
        mechanism: LimitMechanism,
        disks: Disks,
        network: NetworkOffer,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._programs = programs
        self._launcher = Launcher(hidden=str(layout.sandboxes))
        self._store = store
        self._mechanism = mechanism
        self._disks = disks
        self._network = network
        self.programs_are_writable = False
        """Whether sandboxes can write upon the host's /usr; known when we are open."""
        self._sandboxes: dict[str, Sandbox] = {}
        self._outer: dict[str, int] = {}
        # More at once would all become slower together: so the first are there in half the time of the last.
        self._starting = asyncio.Semaphore(STARTS_FOR_EACH_PROCESSOR * (os.cpu_count() or 1))
        self.on_lost: Callable[[Sandbox], None] = lambda _: None
        """Called when a supervisor ended that nobody stopped."""
        self.on_process: Callable[[Sandbox, Process], None] = lambda *_: None
        """Called when a process was started, and when it has ended."""

    async def open(self) -> None:
        """Get ready to start supervisors, and find out how the host's programs can be given to them."""
        self._launcher.open()
        self.programs_are_writable = runs_as_root() and await self._can_shift_owners("/usr")
        if runs_as_root() and not self.programs_are_writable:
            log.warning("programs_read_only", advice="/usr lies on a file system without idmapped mounts")

    def close(self) -> None:
        """Start no more; those that run live on."""
        self._launcher.close()

    def find(self, sandbox_id: str) -> Sandbox | None:
        """A sandbox whose supervisor runs, though it may be paused."""
        return self._sandboxes.get(sandbox_id)

    def running(self) -> list[Sandbox]:
        """All whose processes run now, also those that are built in or not handed out yet."""
        return [sandbox for sandbox in self._sandboxes.values() if sandbox.record.state == "running"]

    async def start(self, record: SandboxRecord) -> Sandbox:
        """Start a supervisor for a sandbox that has none."""
        async with self._starting:
            sandbox = await self.bring_up(record)
            try:
                await self.put_to_use(sandbox)
            except BaseException:
                await self.stop(record)
                raise
            return sandbox

    async def put_to_use(self, sandbox: Sandbox) -> None:
        """Let a sandbox whose supervisor runs be what its record says, with its own way out."""
        await self._open_egress(sandbox)
        self._store.save(sandbox.record)

    async def bring_up(self, record: SandboxRecord) -> Sandbox:
        """Start a supervisor with a record's layers and limits alone; whose it will be is still open."""
        launching = asyncio.ensure_future(self._launch(record))
        try:
            await asyncio.shield(launching)
        except asyncio.CancelledError:
            # What was begun comes to its start, and can only then be ended.
            self._note(record, await launching)
            await self.stop(record)
            raise
        launched = self._note(record, launching.result())
        try:
            group = await asyncio.to_thread(
                self._mechanism.admit, record.id, launched.pid1.pid, record.limits
            )
            sandbox = self._connect(record, group)
        except BaseException:
            await self.stop(record)
            raise
        return sandbox

    def _note(self, record: SandboxRecord, launched: Launched) -> Launched:
        record.pid1 = launched.pid1
        record.programs = self._programs.folder
        self._outer[record.id] = launched.outer
        return launched

    async def take_up(self, record: SandboxRecord) -> Sandbox | None:
        """Take up a supervisor that an earlier runtime started; None where it is gone or doesn't answer."""
        if record.pid1 is None or not record.pid1.is_alive():
            return None
        try:
            group = self._mechanism.find(record.id, record.pid1.pid, record.limits)
            sandbox = self._connect(record, group)
            await sandbox.take_up_processes()
            await self._open_egress_again(sandbox)
        except (OSError, HostError, ValueError, LookupError, TypeError) as error:
            log.warning("sandbox_not_taken_up", sandbox=record.id, error=str(error))
            await self.stop(record)
            return None
        return sandbox

    async def stop(self, record: SandboxRecord) -> None:
        """End a sandbox's supervisor, and so everything inside; its files stay."""
        sandbox = self._sandboxes.pop(record.id, None)
        if sandbox is not None:
            sandbox.on_lost = lambda _: None
        if record.pid1 is not None:
            await asyncio.to_thread(record.pid1.kill)
        if sandbox is not None:
            sandbox.close()
        outer = self._outer.pop(record.id, None)
        if outer is not None and await self._launcher.ended(outer, OUTER_SECONDS) is None:
            log.warning("bubblewrap_did_not_end", sandbox=record.id, pid=outer)
        if sandbox is not None:
            await asyncio.to_thread(sandbox.group.remove)
        record.pid1 = None

    async def _can_shift_owners(self, folder: str) -> bool:
        """Whether the file system of a folder can be mounted with other ids."""
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            pid, _ = await self._launcher.start(
                ["/usr/bin/true"],
                descriptors=(nothing, nothing, nothing),
                first_id=self._settings.user_id_first,
                staging=str(self._layout.staging),
                trees=[(folder, "tried")],
            )
            return await self._launcher.ended(pid, OUTER_SECONDS) == 0
        finally:
            os.close(nothing)

    async def _launch(self, record: SandboxRecord) -> Launched:
        limits = self._mechanism.resource_limits(record.limits)
        limits |= self._disks.resource_limits(record.limits)
        places = TreePlaces.of(
            self._layout, own_ids=record.user_id is not None, own_programs=self.programs_are_writable
        )
        request = Launch(
            trees=places.trees(
                skeleton=self._programs.skeleton,
                layers=[self._layout.layers / layer for layer in record.layers],
                data=self._store.data(record.id),
            ),
            inside=self._programs.inside,
            python=self._programs.python,
            python_root=self._programs.python_root,
            own_ids=record.user_id is not None,
            scratch_bytes=record.limits.scratch,
            shared_memory_bytes=record.limits.shared_memory,
            lease=self._settings.supervisor_lease,
            limits=",".join(f"{number}={value}" for number, value in limits.items()),
            extra_mounts=[
                ExtraMount(str(places.place(self._layout.volume_files(mount.volume_id))), mount.path)
                for mount in record.volumes
            ],
            redirection=self._network.redirection,
        )
        return await launch(
            self._launcher,
            self._programs.bubblewrap,
            request,
            control_path=self._store.control(record.id),
            first_id=record.user_id,
            staging=self._layout.staging,
            trees=places.mounted_with(self._store.data(record.id)),
        )

    def starts_alike(self, one: SandboxRecord, other: SandboxRecord) -> bool:
        """Whether the supervisor that was started for one could as well be the other's."""
        return one.layers == other.layers and one.volumes == other.volumes and one.limits == other.limits

    async def _open_egress_again(self, sandbox: Sandbox) -> None:
        """The same for one that an earlier runtime started; its supervisor may be too old for it."""
        try:
            await self._open_egress(sandbox)
        except SupervisorError as error:
            log.warning("sandbox_without_network", sandbox=sandbox.id, error=str(error))

    def _connect(self, record: SandboxRecord, group: LimitGroup) -> Sandbox:
        connection = connect(self._store.control(record.id))
        policy = OutputPolicy(
            retained=self._settings.output_retained,
            drop_unattended=self._settings.unattended_output == "drop",
            rate=OutputRate(record.limits.output_rate),
        )
        sandbox = Sandbox(record, connection, policy, group)
        sandbox.on_lost = self._lost
        sandbox.on_process = lambda process: self.on_process(sandbox, process)
        self._sandboxes[record.id] = sandbox
        return sandbox

    async def _open_egress(self, sandbox: Sandbox) -> None:
        """Give a sandbox its way out, also where nothing is allowed: it says what would change that."""
        policy = self._network.policy(sandbox.record.allow_internet_access, sandbox.record.network)
        sandbox.egress = SandboxEgress(sandbox.id, sandbox.record.team, policy, self._network.ways)
        sandbox.egress.open_proxy(await sandbox.listen(PROXY_PORT))
        if await sandbox.is_redirected():
            self._network.redirects = True
            listener = await sandbox.listen(REDIRECTED_PORT)
            await sandbox.egress.open_redirection(
                listener, await sandbox.listen_for_datagrams(QUESTIONS_PORT)
            )

    def _lost(self, sandbox: Sandbox) -> None:
        if self._sandboxes.get(sandbox.id) is sandbox:
            self.on_lost(sandbox)
