"""All sandboxes of this machine: made, found, paused, resumed, ended, and ended in time."""

import asyncio
import resource
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from runtime.host.errors import (
    SandboxLimitError,
    SandboxNotFoundError,
    TemplateNotFoundError,
)
from runtime.host.launch import Launched, connect, launch
from runtime.host.layout import Layout
from runtime.host.record import Limits, SandboxRecord, new_sandbox_id
from runtime.host.sandbox import OutputPolicy, Sandbox
from runtime.host.staging import Programs
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime.host")

TEMPLATES = ("base",)


@dataclass(frozen=True)
class SandboxRequest:
    """What a sandbox is asked to be."""

    template: str
    timeout: int
    secure: bool = True
    auto_pause: bool = False
    auto_pause_memory: bool = True
    auto_resume: bool = False
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class SandboxHost:
    """The registry of sandboxes; every change of a sandbox's state goes through here."""

    def __init__(self, settings: RuntimeSettings, layout: Layout, programs: Programs) -> None:
        self._settings = settings
        self._programs = programs
        self._store = Store(layout)
        self.records: dict[str, SandboxRecord] = {}
        self._live: dict[str, Sandbox] = {}
        self._launched: dict[str, Launched] = {}
        self._user_ids = UserIds(settings.user_id_first, settings.user_id_count, [])
        self._policy = OutputPolicy(settings.output_retained, settings.unattended_output == "drop")

    def find(self, sandbox_id: str) -> SandboxRecord:
        """A sandbox's record."""
        record = self.records.get(sandbox_id)
        if record is None:
            raise SandboxNotFoundError(f'sandbox "{sandbox_id}" not found')
        return record

    def live(self, sandbox_id: str) -> Sandbox | None:
        """A sandbox that runs, or None."""
        return self._live.get(sandbox_id)

    async def create(self, request: SandboxRequest) -> SandboxRecord:
        """Make a sandbox and start it."""
        if request.template not in TEMPLATES:
            raise TemplateNotFoundError(
                f"template '{request.template}' not found; there is: {', '.join(TEMPLATES)}"
            )
        if len(self.records) >= self._settings.sandbox_limit:
            raise SandboxLimitError(
                "you have reached the maximum number of concurrent sandboxes "
                f"({self._settings.sandbox_limit})"
            )
        now = datetime.now(UTC)
        record = SandboxRecord(
            id=new_sandbox_id(),
            template=request.template,
            limits=Limits(
                self._settings.sandbox_processors,
                self._settings.sandbox_memory,
                self._settings.sandbox_processes,
                self._settings.sandbox_open_files,
            ),
            started_at=now,
            end_at=now + timedelta(seconds=request.timeout),
            user_id=self._user_ids.take(),
            access_token="ea_" + secrets.token_hex(32) if request.secure else None,
            metadata=request.metadata,
            environment=request.environment,
            auto_pause=request.auto_pause,
            auto_pause_memory=request.auto_pause_memory,
            auto_resume=request.auto_resume,
            allow_internet_access=request.allow_internet_access,
            network=request.network,
            timeout=request.timeout,
        )
        self._store.make(record)
        await self._start(record)
        self.records[record.id] = record
        log.info("sandbox_created", sandbox=record.id, template=record.template)
        return record

    async def kill(self, sandbox_id: str) -> None:
        """End a sandbox and remove its files."""
        record = self.find(sandbox_id)
        del self.records[sandbox_id]
        await self._stop(record)
        await asyncio.to_thread(self._store.remove, sandbox_id)
        self._user_ids.give_back(record.user_id)
        log.info("sandbox_killed", sandbox=sandbox_id)

    async def close(self) -> None:
        """End every sandbox's processes."""
        for record in list(self.records.values()):
            await self._stop(record)

    async def _start(self, record: SandboxRecord) -> Sandbox:
        launched = await asyncio.to_thread(
            launch,
            self._programs,
            home=self._store.home(record.id),
            control_path=self._store.control(record.id),
            user_id=record.user_id,
            scratch_bytes=record.limits.scratch,
            shared_memory_bytes=record.limits.shared_memory,
            lease=self._settings.supervisor_lease,
            limits=resource_limits(record.limits),
        )
        record.pid1 = launched.pid1
        self._store.save(record)
        sandbox = Sandbox(record, connect(self._store.control(record.id)), self._policy)
        self._live[record.id] = sandbox
        self._launched[record.id] = launched
        return sandbox

    async def _stop(self, record: SandboxRecord) -> None:
        sandbox = self._live.pop(record.id, None)
        if record.pid1 is not None:
            await asyncio.to_thread(record.pid1.kill)
        if sandbox is not None:
            sandbox.close()
        launched = self._launched.pop(record.id, None)
        if launched is not None:
            await asyncio.to_thread(launched.outer.wait, 10)


def resource_limits(limits: Limits) -> str:
    """What the supervisor sets on itself, for all that it starts."""
    bounds = {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    return ",".join(f"{number}={value}" for number, value in bounds.items())
