"""Everything that E2B's SDK and the layers below it can raise, as this domain's errors.

The SDK raises exceptions of five libraries and some bare ones; nothing of that leaves this package.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto

import httpx
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.exceptions import (
    AuthenticationException,
    FileNotFoundException,
    InvalidArgumentException,
    NotEnoughSpaceException,
    NotFoundException,
    RateLimitException,
    SandboxException,
    SandboxNotFoundException,
    SandboxNotRunningException,
    ServiceBusyException,
    TemplateException,
    TimeoutException,
    is_sandbox_not_found_message,
)

from commandcenter.errors import DomainError
from commandcenter.providers.answers import answer_behind
from commandcenter.providers.errors import (
    AnswerTooLargeError,
    FileAccessDeniedError,
    FileExistsInSandboxError,
    FileNotFoundInSandboxError,
    FileRefusedError,
    NoSpaceInSandboxError,
    NotADirectoryInSandboxError,
    NotAFileError,
    ProcessNotFoundError,
    ProviderSandboxGoneError,
    TemplateNotFoundError,
)
from commandcenter.providers.phrasing import (
    key_refused,
    rate_limited,
    refused,
    timed_out,
    unavailable,
    unreachable,
)

_MOST_WORDS = 300


class Subject(Enum):
    """What a call is about: it decides what "not found" means."""

    TEMPLATE = auto()
    SANDBOX = auto()
    PROCESS = auto()
    FILE = auto()


_NOT_FOUND: dict[Subject, Callable[[str], DomainError]] = {
    Subject.TEMPLATE: TemplateNotFoundError,
    Subject.SANDBOX: ProviderSandboxGoneError,
    Subject.PROCESS: ProcessNotFoundError,
    Subject.FILE: FileNotFoundInSandboxError,
}

# envd answers most failures of a file system with "internal" or "invalid argument" and the kernel's words.
_FILE_WORDS: tuple[tuple[str, Callable[[str], DomainError]], ...] = (
    ("no such file or directory", FileNotFoundInSandboxError),
    ("not a directory", NotADirectoryInSandboxError),
    ("is a directory", NotAFileError),
    ("not a regular file", NotAFileError),
    ("file exists", FileExistsInSandboxError),
    ("already exists", FileExistsInSandboxError),
    ("permission denied", FileAccessDeniedError),
    ("operation not permitted", FileAccessDeniedError),
    ("read-only file system", FileAccessDeniedError),
    ("no space left", NoSpaceInSandboxError),
    ("disk quota exceeded", NoSpaceInSandboxError),
    ("not enough disk space", NoSpaceInSandboxError),
)

_FILE_CODES: dict[Code, Callable[[str], DomainError]] = {
    Code.PERMISSION_DENIED: FileAccessDeniedError,
    Code.INVALID_ARGUMENT: FileRefusedError,
    Code.FAILED_PRECONDITION: FileRefusedError,
}

# connectrpc's own words, where a message is larger than the client takes.
_TOO_LARGE = "message is larger than"
# What envd says of a process that it does not start, and the field at fault.
_PROCESS_WORDS = (("cwd '", "cwd"), ("invalid username", "user"))


@asynccontextmanager
async def control_plane_call(provider: str, subject: Subject, seconds: float) -> AsyncIterator[None]:
    """Bound the call inside, and turn whatever it raises into a `DomainError`; a cancellation stays one."""
    try:
        # The SDK's own `request_timeout` counts double: its transport adds reading to writing.
        async with asyncio.timeout(seconds):
            yield
    except Exception as error:
        raise_if_cancelled(error)
        raise domain_error(error, provider, subject) from error


def raise_if_cancelled(error: Exception) -> None:
    """Raise the `CancelledError` that connectrpc wrapped, where `error` is such a wrapping."""
    if isinstance(error, ConnectError) and isinstance(error.__cause__, asyncio.CancelledError):
        raise error.__cause__


def domain_error(error: Exception, provider: str, subject: Subject) -> DomainError:
    """What `error`, raised by a call about `subject` at `provider`, means here."""
    if isinstance(error, DomainError):
        return error
    words = _words(error)
    if isinstance(error, ConnectError):
        return _from_connect(error, provider, subject)
    if isinstance(error, SandboxException):
        return _from_sdk(error, provider, subject)
    match error:
        case AuthenticationException():
            return key_refused(provider, words)
        case ServiceBusyException():
            return unavailable(provider, words, retry_after_seconds=_advised_wait(error))
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return unreachable(provider, words)
        case httpx.TimeoutException() | TimeoutError():
            return timed_out(provider, words)
        case httpx.HTTPError() | OSError():
            return unavailable(provider, words)
        case _:
            return _not_understood(error, provider, subject)


def file_error(words: str) -> DomainError | None:
    """The error of a file system that `words` speak of, if they do."""
    lowered = words.lower()
    for part, error in _FILE_WORDS:
        if part in lowered:
            return error(words)
    return None


def _from_sdk(error: SandboxException, provider: str, subject: Subject) -> DomainError:
    words = _words(error)
    match error:
        case SandboxNotFoundException() | SandboxNotRunningException():
            return ProviderSandboxGoneError(words)
        case FileNotFoundException():
            return FileNotFoundInSandboxError(words)
        case NotFoundException():
            return _NOT_FOUND[subject](words)
        case NotEnoughSpaceException():
            return NoSpaceInSandboxError(words)
        case RateLimitException():
            return rate_limited(provider, words, retry_after_seconds=_advised_wait(error))
        case TimeoutException():
            # Also SandboxUnreachableException, which the SDK files under timeouts.
            return timed_out(provider, words)
        case InvalidArgumentException() | TemplateException():
            return refused(provider, words)
        case _:
            return _from_status(error.status_code, words, provider, subject, _advised_wait(error))


def _from_status(
    status: int | None, words: str, provider: str, subject: Subject, wait: float | None
) -> DomainError:
    if status is None or status >= 500:
        return unavailable(provider, words, retry_after_seconds=wait)
    if status == 404:
        return _NOT_FOUND[subject](words)
    return refused(provider, words)


def _from_connect(error: ConnectError, provider: str, subject: Subject) -> DomainError:
    words = error.message
    if is_sandbox_not_found_message(words) and error.code is Code.UNAVAILABLE:
        return ProviderSandboxGoneError(words)
    match error.code:
        case Code.NOT_FOUND:
            return _NOT_FOUND[subject](words)
        case Code.ALREADY_EXISTS:
            return FileExistsInSandboxError(words)
        case Code.DEADLINE_EXCEEDED:
            return timed_out(provider, words)
        case Code.RESOURCE_EXHAUSTED if _TOO_LARGE in words:
            return AnswerTooLargeError(
                "The answer is too large. Ask for less, such as a smaller depth or a directory below."
            )
        case Code.RESOURCE_EXHAUSTED:
            return rate_limited(provider, words)
        case Code.UNAVAILABLE | Code.CANCELED | Code.ABORTED:
            return unavailable(provider, words)
    if subject is Subject.FILE and (found := file_error(words)):
        return found
    if subject is Subject.FILE and error.code in _FILE_CODES:
        return _FILE_CODES[error.code](words)
    if error.code in (Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS):
        return unavailable(provider, words)
    return refused(provider, words, _process_field(words) if subject is Subject.PROCESS else None)


def _process_field(words: str) -> str | None:
    return next((field for part, field in _PROCESS_WORDS if words.startswith(part)), None)


def _words(error: Exception) -> str:
    # The SDK puts the status before the provider's words; the class of our error says it better.
    return re.sub(r"^\d{3}: ", "", str(error)) or type(error).__name__


def _not_understood(error: Exception, provider: str, subject: Subject) -> DomainError:
    answer = answer_behind(error)
    if answer is not None and answer.status >= 400:
        words = f"HTTP {answer.status} {answer.text[:_MOST_WORDS]}"
        return _from_status(answer.status, words, provider, subject, answer.retry_after_seconds)
    return unavailable(provider, f"an answer that is not understood ({type(error).__name__}: {error})")


def _advised_wait(error: Exception) -> float | None:
    answer = answer_behind(error)
    return answer.retry_after_seconds if answer is not None else None
