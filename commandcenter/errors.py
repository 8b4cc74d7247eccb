"""What can go wrong in the domain, in words that tell the caller what to do.

Every error that a caller can mend is a `DomainError`: `resolvers.outcomes` is the one place that turns
it into a payload's `userErrors`. Each subject defines its own in `commandcenter/<subject>/errors.py`.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """The kinds of mendable errors; the same names as `UserErrorCode` in the API."""

    NOT_FOUND = "NOT_FOUND"
    INVALID = "INVALID"
    CONFLICT = "CONFLICT"
    WRONG_STATE = "WRONG_STATE"
    FORBIDDEN = "FORBIDDEN"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_NOT_CONFIGURED = "PROVIDER_NOT_CONFIGURED"


class DomainError(Exception):
    """An error that the caller can mend.

    `message` is one or two plain sentences: what was wrong, and what to do.
    `field` is the path of the input field at fault in the API's spelling, such as `("ttlSeconds",)`.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, field: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class NotFoundError(DomainError):
    """There is no such object in the caller's project; a foreign one gives exactly the same answer."""

    code = ErrorCode.NOT_FOUND


class InvalidError(DomainError):
    """A value is malformed or out of its bounds."""

    code = ErrorCode.INVALID


class ConflictError(DomainError):
    """The request contradicts another one, such as an idempotency key used with other arguments."""

    code = ErrorCode.CONFLICT


class WrongStateError(DomainError):
    """The object's state does not allow the action; nothing has changed."""

    code = ErrorCode.WRONG_STATE


class ForbiddenError(DomainError):
    """The key's role does not allow the action."""

    code = ErrorCode.FORBIDDEN
