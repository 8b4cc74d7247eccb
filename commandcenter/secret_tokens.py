"""Random secrets that we hand out once and keep only as a hash."""

import hashlib
import secrets


def new_token() -> str:
    """256 random bits, safe in URLs and headers."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a token. SHA-256 is enough: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
