"""What can go wrong with a sandbox."""

from commandcenter.errors import ConflictError, DomainError, ErrorCode, NotFoundError, WrongStateError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus


class SandboxNotFoundError(NotFoundError):
    """The caller's project has no such sandbox."""

    def __init__(self, field: str = "sandboxId") -> None:
        super().__init__("There is no such sandbox in this project.", (field,))


_WAYS_OUT = {
    SandboxStatus.CREATING: "Wait until it runs.",
    SandboxStatus.PAUSED: "Resume it first.",
    SandboxStatus.TERMINATED: "Create another.",
    SandboxStatus.FAILED: "Create another.",
}


class SandboxStateError(WrongStateError):
    """The sandbox's state does not allow the action."""

    def __init__(self, sandbox: Sandbox, needed: str) -> None:
        because = f" ({sandbox.status_reason})" if sandbox.status_reason else ""
        message = f"The sandbox is {sandbox.status}{because}; this needs a sandbox that is {needed}."
        if sandbox.status in _WAYS_OUT and not needed.startswith(sandbox.status):
            message += f" {_WAYS_OUT[sandbox.status]}"
        super().__init__(message, ("sandboxId",))


class SandboxBusyError(ConflictError):
    """Something else is being done to the sandbox, and has been for as long as one may wait."""

    def __init__(self) -> None:
        super().__init__(
            "Something else is being done to the sandbox: it is paused, resumed or captured. Try again.",
            ("sandboxId",),
        )


class SandboxQuotaError(DomainError):
    """The project has as many live sandboxes as it may."""

    code = ErrorCode.QUOTA_EXCEEDED

    def __init__(self, limit: int, live: int) -> None:
        super().__init__(
            f"The project's limit maxSandboxes ({limit}) is reached: it has {live}, with those that are "
            "paused or being made. Terminate a sandbox, or have an administrator raise the limit."
        )


class ProviderQueueFullError(DomainError):
    """So many sandboxes wait for their turn at a provider that the project may not add another."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, provider: str, waiting: int, limit: int) -> None:
        super().__init__(
            f"{waiting} sandboxes wait for their turn at {provider}, and the limit most_waiting_creations is "
            f"{limit}. Try again when some of yours run, or use another provider."
        )


class CreationFailedError(DomainError):
    """A sandbox was not made, for a reason that asking again may mend."""

    code = ErrorCode.PROVIDER_UNAVAILABLE


class SandboxCeilingError(DomainError):
    """The sandbox has run for as long as its project lets any run."""

    code = ErrorCode.QUOTA_EXCEEDED

    def __init__(self, ceiling_seconds: int) -> None:
        super().__init__(
            f"The sandbox has run for the project's maxTtlSeconds ({ceiling_seconds}). Make another one, or "
            "have an administrator raise the limit.",
            ("sandboxId",),
        )
