"""What can go wrong with a sandbox; each message tells what to do about it."""


class HostError(Exception):
    """The root of the host's errors."""

    code: str | None = None
    """E2B's word for the error, where it has one beside the status."""


class MachineUnfitError(HostError):
    """This machine can't hold a sandbox safely; the message says how to mend it."""


class SandboxNotFoundError(HostError):
    """No such sandbox, or it has ended."""


class SandboxConflictError(HostError):
    """The sandbox is in a state that doesn't allow this."""


class IdempotencyMismatchError(HostError):
    """The same idempotency key with another request."""

    code = "idempotency_request_mismatch"


class SandboxUnresponsiveError(HostError):
    """What runs as the sandbox's first process doesn't answer."""


class InvalidSandboxRequestError(HostError):
    """What was asked for can't be given here."""


class TemplateNotFoundError(HostError):
    """No template of this name."""


class SandboxLimitError(HostError):
    """As many sandboxes as the settings allow."""


class SandboxGoneError(HostError):
    """The sandbox ended while something was asked of it."""


class HostStoppingError(HostError):
    """The runtime is about to stop."""


class SupervisorError(HostError):
    """What the supervisor could not do, with the system's error number."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
