"""Why a file operation was refused: a kind the host turns into a status, and a sentence for the caller."""

from __future__ import annotations

import errno

_KINDS = {
    errno.ENOENT: b"not_found",
    errno.ENOTDIR: b"not_found",
    errno.EEXIST: b"already_exists",
    errno.ENOSPC: b"no_space",
    errno.EDQUOT: b"no_space",
    errno.EFBIG: b"no_space",
    errno.EACCES: b"permission_denied",
    errno.EPERM: b"permission_denied",
    errno.EROFS: b"permission_denied",
    errno.ELOOP: b"failed_precondition",
    errno.EXDEV: b"failed_precondition",
    errno.EBUSY: b"failed_precondition",
    errno.ENOTEMPTY: b"failed_precondition",
    errno.EISDIR: b"invalid_argument",
    errno.EINVAL: b"invalid_argument",
    errno.ENAMETOOLONG: b"invalid_argument",
}


class RefusalError(Exception):
    """An operation that can't be done, told to the caller as it stands."""

    def __init__(self, kind: bytes, message: str | bytes) -> None:
        self.kind = kind
        self.message = message if isinstance(message, bytes) else message.encode("utf-8", "surrogateescape")
        super().__init__(message)


def refusal_of(error: OSError, what: bytes) -> RefusalError:
    """The refusal for what the kernel answered; `what` says which step failed, on which path."""
    kind = _KINDS.get(error.errno or 0, b"internal")
    if kind == b"no_space":
        return RefusalError(kind, b"not enough disk space available: " + what)
    return RefusalError(kind, what + b": " + (error.strerror or "unknown error").lower().encode())
