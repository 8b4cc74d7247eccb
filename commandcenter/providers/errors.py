"""What can go wrong between the domain and a provider."""

from typing import ClassVar, TypeGuard

from commandcenter.errors import DomainError, ErrorCode


class ProviderNotConfiguredError(DomainError):
    """The provider has no account here, or its key is refused."""

    code = ErrorCode.PROVIDER_NOT_CONFIGURED


class ProviderKeyRefusedError(ProviderNotConfiguredError):
    """The provider answers, and does not accept the configured API key."""


class ProviderUnavailableError(DomainError):
    """The provider did not answer, is busy, or failed; whether it acted is not known unless said.

    `retry_after_seconds` is the provider's own advice, where it gave one.
    """

    code = ErrorCode.PROVIDER_UNAVAILABLE

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ProviderUnreachableError(ProviderUnavailableError):
    """No connection to the provider could be made; nothing was asked of it."""


class ProviderTimeoutError(ProviderUnavailableError):
    """The provider did not answer in time; it may still have acted."""


class ProviderRateLimitedError(DomainError):
    """The provider's own limit (rate, or sandboxes at once) is reached; nothing was done.

    `retry_after_seconds` is the provider's own advice, where it gave one.
    """

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


NotNow = ProviderRateLimitedError | ProviderUnavailableError


def is_for_now(error: DomainError) -> TypeGuard[NotNow]:
    """Whether the provider said that it does nothing at the moment, and would later."""
    is_advised = isinstance(error, ProviderUnavailableError) and error.retry_after_seconds is not None
    return is_advised or isinstance(error, ProviderRateLimitedError)


class ProviderRefusedError(DomainError):
    """The provider understood the request and refused it; the message holds its words."""

    code = ErrorCode.INVALID


class AnswerTooLargeError(DomainError):
    """The provider's answer is larger than one message may be."""

    code = ErrorCode.INVALID


class TemplateNotFoundError(DomainError):
    """The provider has no such template."""

    code = ErrorCode.INVALID

    def __init__(self, message: str) -> None:
        super().__init__(message, field=("template",))


class ProviderSandboxGoneError(DomainError):
    """The provider has no such sandbox (any more)."""

    code = ErrorCode.WRONG_STATE


class ProviderSandboxPausedError(DomainError):
    """The sandbox exists and is paused: resume it first."""

    code = ErrorCode.WRONG_STATE


class ProcessNotFoundError(DomainError):
    """No process with this number runs in the sandbox."""

    code = ErrorCode.NOT_FOUND


class OutputInterruptedError(DomainError):
    """A stream of output broke before the process's end was seen; the process may still run.

    `reason` says why, where it could be found out; a `ProviderSandboxGoneError` there means that the
    process died with its sandbox.
    """

    code = ErrorCode.PROVIDER_UNAVAILABLE

    def __init__(self, message: str, reason: DomainError | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class SandboxFileError(DomainError):
    """A file operation that the sandbox's file system refused."""

    code: ClassVar[ErrorCode] = ErrorCode.INVALID

    def __init__(self, message: str) -> None:
        super().__init__(message, field=("path",))


class FileNotFoundInSandboxError(SandboxFileError):
    """There is nothing at the path."""

    code = ErrorCode.NOT_FOUND


class FileExistsInSandboxError(SandboxFileError):
    """There is something at the path already."""

    code = ErrorCode.CONFLICT


class NotAFileError(SandboxFileError):
    """The path leads to a directory, a pipe or a device, and a file is needed."""


class NotADirectoryInSandboxError(SandboxFileError):
    """The path leads to something else, and a directory is needed."""


class FileRefusedError(SandboxFileError):
    """The file system refused for another reason; the message holds its words."""


class FileAccessDeniedError(SandboxFileError):
    """The sandbox's user may not do this."""

    code = ErrorCode.FORBIDDEN


class NoSpaceInSandboxError(SandboxFileError):
    """The sandbox's disk is full."""

    code = ErrorCode.QUOTA_EXCEEDED
