"""The keys that encrypt secrets: the first one encrypts, any of them decrypts."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commandcenter.secrets.errors import SecretsKeyError, UnknownSecretsKeyError

KEY_BYTES = 32
_NONCE_BYTES = 12


def new_key() -> str:
    """A new key as text: 256 random bits in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by their ids; `first_id` is that of the one that encrypts.

    AES-256-GCM: what was altered, or belongs to something else than it is read for, does not decrypt.
    """

    first_id: str
    _ciphers: Mapping[str, AESGCM] = field(repr=False)

    @classmethod
    def parse(cls, text: str, origin: str) -> "Keyring":
        """Keys in base64, with commas or blanks between; `origin` says where they stand, for the error."""
        ciphers: dict[str, AESGCM] = {}
        for word in re.split(r"[\s,]+", text.strip()):
            key = _decoded(word)
            if len(key) != KEY_BYTES:
                raise SecretsKeyError(
                    f"{origin} must hold keys of {KEY_BYTES} bytes in base64, with commas between. "
                    "`openssl rand -base64 32` makes one."
                )
            ciphers[_key_id(key)] = AESGCM(key)
        return cls(next(iter(ciphers)), ciphers)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._ciphers)

    def seal(self, value: bytes, belongs_to: bytes) -> bytes:
        """Encrypt with the first key. Only with the same `belongs_to` it can be opened."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[self.first_id].encrypt(nonce, value, belongs_to)

    def open(self, key_id: str, sealed: bytes, belongs_to: bytes) -> bytes:
        """Decrypt. `UnknownSecretsKeyError`: the key is not here; `SecretsKeyError`: it was altered."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownSecretsKeyError(f"A secret was encrypted with the key {key_id}, which is not here.")
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belongs_to)
        except (InvalidTag, ValueError):
            raise SecretsKeyError("A stored secret is not what was stored: it does not decrypt.") from None


def _decoded(word: str) -> bytes:
    try:
        return base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        return b""


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"commandcenter secrets key " + key).hexdigest()[:16]
