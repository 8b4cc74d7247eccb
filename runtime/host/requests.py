"""What a sandbox is asked to be, and the record that is made of it."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from runtime.host.errors import TemplateNotFoundError
from runtime.host.limits.asked import largest_limits, limited
from runtime.host.record import DEFAULT_TEAM, Limits, SandboxRecord, new_sandbox_id
from runtime.settings import RuntimeSettings

TEMPLATES = ("base",)


@dataclass(frozen=True)
class SandboxRequest:
    """What a sandbox is asked to be; `lifetime` is in seconds."""

    template: str
    lifetime: int
    team: str = DEFAULT_TEAM
    auto_pause: bool = False
    auto_pause_memory: bool = True
    auto_resume: bool = False
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    user: str = "user"
    directory: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits of its own, as `read_limits` gives them."""

    def digest(self) -> str:
        """A fingerprint: the same for the same wishes."""
        return hashlib.sha256(orjson.dumps(self, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def check(self) -> None:
        """Refuse a template that isn't there."""
        if self.template not in TEMPLATES:
            raise TemplateNotFoundError(
                f"template '{self.template}' not found; there is: {', '.join(TEMPLATES)}"
            )


def limits_of(settings: RuntimeSettings) -> Limits:
    """What a sandbox may use that asks for nothing else."""
    return Limits(
        processors=settings.sandbox_processors,
        memory=settings.sandbox_memory,
        processes=settings.sandbox_processes,
        open_files=settings.sandbox_open_files,
        disk=settings.sandbox_disk,
        output_rate=settings.sandbox_output_rate,
    )


def largest_of(settings: RuntimeSettings) -> Limits:
    """The most that a request may ask for."""
    return largest_limits(settings.largest_sandbox, limits_of(settings))


def new_record(request: SandboxRequest, settings: RuntimeSettings, user_id: int | None) -> SandboxRecord:
    """The record of a sandbox that begins now."""
    now = datetime.now(UTC)
    closed = request.network is not None and request.network.get("allowPublicTraffic") is False
    return SandboxRecord(
        id=new_sandbox_id(),
        template=request.template,
        limits=limited(request.limits, limits_of(settings), largest_of(settings)),
        started_at=now,
        end_at=now + timedelta(seconds=request.lifetime),
        lifetime=request.lifetime,
        user_id=user_id,
        team=request.team,
        access_token="ea_" + secrets.token_hex(32),
        traffic_token=secrets.token_hex(16) if closed else None,
        metadata=request.metadata,
        environment=request.environment,
        layers=list(request.layers),
        user=request.user,
        directory=request.directory,
        auto_pause=request.auto_pause,
        auto_pause_memory=request.auto_pause_memory,
        auto_resume=request.auto_resume,
        allow_internet_access=request.allow_internet_access,
        network=request.network,
    )
