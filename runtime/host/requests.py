"""What a sandbox is asked to be, and the record that is made of it."""

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runtime.host.limits.asked import largest_limits, limited
from runtime.host.record import DEFAULT_TEAM, Limits, SandboxRecord, VolumeMount, new_sandbox_id
from runtime.host.start import Start
from runtime.settings import RuntimeSettings


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
    volumes: tuple[VolumeMount, ...] = ()
    user: str = "user"
    directory: str | None = None
    alias: str = ""
    start: Start | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits of its own, as `read_limits` gives them."""
    standard: Limits | None = None
    """What holds where it asks for nothing else; None is what the settings say."""
    digest: str = ""
    """A fingerprint of what the client itself said, by which one sees that it asks again for the same."""


def alike(record: SandboxRecord, layers: Sequence[str], lifetime: int) -> SandboxRequest:
    """What asks for a sandbox like another, on other layers."""
    return SandboxRequest(
        template=record.template,
        alias=record.alias,
        lifetime=lifetime,
        team=record.team,
        auto_pause=record.auto_pause,
        auto_pause_memory=record.auto_pause_memory,
        auto_resume=record.auto_resume,
        allow_internet_access=record.allow_internet_access,
        network=copy.deepcopy(record.network),
        metadata=dict(record.metadata),
        environment=dict(record.environment),
        layers=tuple(layers),
        volumes=tuple(record.volumes),
        user=record.user,
        directory=record.directory,
        start=record.start,
        standard=record.limits,
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
        alias=request.alias,
        limits=limited(request.limits, request.standard or limits_of(settings), largest_of(settings)),
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
        volumes=list(request.volumes),
        user=request.user,
        directory=request.directory,
        start=request.start,
        auto_pause=request.auto_pause,
        auto_pause_memory=request.auto_pause_memory,
        auto_resume=request.auto_resume,
        allow_internet_access=request.allow_internet_access,
        network=request.network,
    )
