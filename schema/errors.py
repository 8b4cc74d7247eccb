"""What a caller can mend: `userErrors` in the payload of every mutation."""

from collections.abc import Sequence

import strawberry

from commandcenter.errors import DomainError, ErrorCode
from schema.enums import describe_enum

describe_enum(
    ErrorCode,
    "What kind of error it is; fit for programs.",
    {
        "NOT_FOUND": "There is no such object in the key's project.",
        "INVALID": "A value is malformed or out of its bounds.",
        "CONFLICT": "The request contradicts an earlier one, or something that exists.",
        "WRONG_STATE": "The object's state does not allow this.",
        "FORBIDDEN": "The key's role does not allow this.",
        "QUOTA_EXCEEDED": "A limit of the project is reached; the message names it.",
        "RATE_LIMITED": "Too much at once; try again later.",
        "PROVIDER_UNAVAILABLE": "The provider does not answer, or failed; try again.",
        "PROVIDER_NOT_CONFIGURED": "This installation has no account at the provider.",
    },
    name="UserErrorCode",
)


@strawberry.type(description="An error that the caller can mend. Where there is one, nothing has changed.")
class UserError:
    code: ErrorCode = strawberry.field(description="The kind of error.")
    message: str = strawberry.field(description="What was wrong, and what to do.")
    field: list[str] | None = strawberry.field(description="The path of the input field at fault.")


def user_errors(errors: Sequence[DomainError]) -> list[UserError]:
    """Domain errors as the payload shows them."""
    return [
        UserError(code=error.code, message=error.message, field=list(error.field) if error.field else None)
        for error in errors
    ]
