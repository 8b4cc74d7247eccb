"""Why a file operation did not happen, and how E2B's two protocols say it."""

from typing import NamedTuple

from runtime.data_plane.connect_protocol import Code, ConnectError


class _Words(NamedTuple):
    code: Code
    status: int


_WORDS = {
    "not_found": _Words("not_found", 404),
    "already_exists": _Words("already_exists", 409),
    "invalid_argument": _Words("invalid_argument", 400),
    "permission_denied": _Words("permission_denied", 403),
    "unauthenticated": _Words("unauthenticated", 401),
    "failed_precondition": _Words("failed_precondition", 400),
    "resource_exhausted": _Words("resource_exhausted", 429),
    "not_allowed": _Words("unimplemented", 405),
    "too_large": _Words("resource_exhausted", 413),
    "no_space": _Words("internal", 507),
    "events_lost": _Words("aborted", 500),
    "client_stalled": _Words("deadline_exceeded", 408),
    "deadline_exceeded": _Words("deadline_exceeded", 504),
    "unavailable": _Words("unavailable", 502),
}
_INTERNAL = _Words("internal", 500)


class FileOperationError(Exception):
    """A file operation that was refused or failed; `kind` is one of the words above, else internal."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _WORDS.get(self.kind, _INTERNAL).status

    @property
    def connect_error(self) -> ConnectError:
        """The same for a call by the Connect protocol."""
        return ConnectError(_WORDS.get(self.kind, _INTERNAL).code, self.message)


class FileAgentGoneError(FileOperationError):
    """The file agent ended while it was asked: with its sandbox, or killed in it."""

    def __init__(self) -> None:
        super().__init__("unavailable", "the sandbox's file agent ended; ask again")
