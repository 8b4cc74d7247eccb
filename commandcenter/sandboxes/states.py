"""The life of a sandbox: its states, what leads from one to another, and why it ends."""

from enum import StrEnum


class SandboxStatus(StrEnum):
    """Where a sandbox is in its life."""

    CREATING = "CREATING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    TERMINATED = "TERMINATED"
    FAILED = "FAILED"


class TerminationReason(StrEnum):
    """Why a sandbox ended."""

    USER = "USER"
    TTL = "TTL"
    IDLE = "IDLE"
    BUDGET = "BUDGET"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    PROVIDER = "PROVIDER"
    ORPHAN = "ORPHAN"
    CRASH = "CRASH"


class TimeoutAction(StrEnum):
    """What happens when a sandbox's time to live runs out."""

    TERMINATE = "TERMINATE"
    PAUSE = "PAUSE"


class SandboxAction(StrEnum):
    """What is being done to a sandbox at its provider; one at a time, but that its end comes before all."""

    PAUSE = "PAUSE"
    RESUME = "RESUME"
    SNAPSHOT = "SNAPSHOT"
    TERMINATE = "TERMINATE"


TRANSITIONS: dict[SandboxStatus, frozenset[SandboxStatus]] = {
    SandboxStatus.CREATING: frozenset(
        {SandboxStatus.RUNNING, SandboxStatus.FAILED, SandboxStatus.TERMINATED}
    ),
    SandboxStatus.RUNNING: frozenset({SandboxStatus.PAUSED, SandboxStatus.TERMINATED, SandboxStatus.FAILED}),
    SandboxStatus.PAUSED: frozenset({SandboxStatus.RUNNING, SandboxStatus.TERMINATED, SandboxStatus.FAILED}),
    SandboxStatus.FAILED: frozenset({SandboxStatus.TERMINATED}),
    SandboxStatus.TERMINATED: frozenset(),
}

LIVE = frozenset({SandboxStatus.CREATING, SandboxStatus.RUNNING, SandboxStatus.PAUSED})
