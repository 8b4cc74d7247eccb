"""Signed addresses of files: `v1_` and a hash over path, operation, user, the sandbox's token and an end.

With one address for all sandboxes (`E2B_SANDBOX_URL`), a signed link names no sandbox. Its signature
does: it is recomputed for each live sandbox until one fits.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

from starlette.datastructures import QueryParams

from runtime.data_plane.file_errors import FileOperationError

Operation = Literal["read", "write"]
Signer = TypeVar("Signer")

VERSION = "v1_"
_WHOLE_SECONDS = re.compile("[0-9]{1,15}")


@dataclass(frozen=True)
class SignedRequest:
    """What was signed, and the signature."""

    path: str
    operation: Operation
    username: str
    expiration: int | None
    """Seconds since 1970; the last second in which the signature holds."""
    signature: str

    @classmethod
    def of(cls, query: QueryParams, operation: Operation) -> Self:
        """The signed parts of a query; raises FileOperationError where one is missing or no number."""
        signature = query.get("signature")
        if not signature:
            raise FileOperationError("unauthenticated", "missing signature query parameter")
        expiration = query.get("signature_expiration")
        if expiration is not None and not _WHOLE_SECONDS.fullmatch(expiration):
            message = "signature_expiration must be whole seconds since 1970"
            raise FileOperationError("invalid_argument", message)
        return cls(
            path=query.get("path", ""),
            operation=operation,
            username=query.get("username", ""),
            expiration=None if expiration is None else int(expiration),
            # A base64 plus sign that nobody escaped arrives as a space.
            signature=signature.replace(" ", "+"),
        )

    def is_signed_with(self, token: str) -> bool:
        """Whether a sandbox's access token made this signature; takes the same time for every answer."""
        signed = f"{self.path}:{self.operation}:{self.username}:{token}"
        if self.expiration is not None:
            signed += f":{self.expiration}"
        digest = hashlib.sha256(signed.encode("utf-8", "surrogatepass")).digest()
        expected = VERSION + base64.b64encode(digest).decode().rstrip("=")
        return hmac.compare_digest(expected.encode(), self.signature.encode("utf-8", "surrogatepass"))

    def check(self, token: str) -> None:
        """Raise FileOperationError unless the signature is this sandbox's and still holds."""
        if not self.is_signed_with(token):
            raise FileOperationError("unauthenticated", "invalid signature")
        if self.expiration is not None and self.expiration < time.time():
            raise FileOperationError("unauthenticated", "signature is already expired")

    def find_signer(self, candidates: Iterable[tuple[Signer, str]]) -> Signer | None:
        """The sandbox whose token made the signature, of pairs of sandbox and token."""
        found = None
        for candidate, token in candidates:
            if self.is_signed_with(token):
                found = candidate
        return found
