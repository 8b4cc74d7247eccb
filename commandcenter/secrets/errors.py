"""What can go wrong with secrets. No message holds a value."""

from commandcenter.errors import DomainError, ErrorCode, NotFoundError, WrongStateError


class SecretsKeyError(Exception):
    """The key that encrypts secrets is missing, malformed or another one; says what the operator can do."""


class UnknownSecretsKeyError(SecretsKeyError):
    """A value was encrypted with a key that this process does not have."""


class SecretNotFoundError(NotFoundError):
    """The caller's project has no secret of this name."""

    def __init__(self, name: str, field: str = "secrets") -> None:
        super().__init__(
            f"There is no secret {name!r} in this project. The mutation setSecret makes one.", (field,)
        )


class SecretUnreadableError(WrongStateError):
    """The secret's value cannot be decrypted by this process."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The value of the secret {name!r} cannot be decrypted here. Ask the operator for its key in "
            "COMMANDCENTER_SECRETS_KEY, or set the secret once more.",
            ("secrets",),
        )


class SecretQuotaError(DomainError):
    """The project, or the sandbox, has as many secrets as it may."""

    code = ErrorCode.QUOTA_EXCEEDED
