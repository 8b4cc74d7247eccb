"""Files that builds copy: archives by the hash that the client gave them, one folder a team.

The host never looks into an archive: it is unpacked in a sandbox.
"""

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

import structlog

from runtime.templates.definition import FILES_HASH
from runtime.templates.errors import InvalidTemplateError, UploadRefusedError

log = structlog.get_logger("runtime.templates")

ADDRESS_SECONDS = 3600
KEPT_BYTES = 10 << 30
GZIP_MAGIC = b"\x1f\x8b"


class Uploads:
    """The archives, for us alone. Addresses to send them to are signed, and hold for an hour."""

    def __init__(self, folder: Path, largest: int) -> None:
        self.largest = largest
        """In bytes."""
        self._folder = folder
        self._secret = secrets.token_bytes(32)
        folder.mkdir(exist_ok=True, mode=0o700)
        for unfinished in folder.glob("*/*.part"):
            unfinished.unlink(missing_ok=True)

    def path(self, team: str, files_hash: str) -> Path:
        """Where an archive lies, or would; raises `InvalidTemplateError`."""
        if not FILES_HASH.fullmatch(files_hash):
            raise InvalidTemplateError("Invalid files hash: expected 64 hexadecimal digits")
        return self._folder / hashlib.sha256(team.encode()).hexdigest()[:16] / files_hash

    def has(self, team: str, files_hash: str) -> bool:
        """Whether an archive is here; it is then kept for a while."""
        path = self.path(team, files_hash)
        if not path.exists():
            return False
        os.utime(path)
        return True

    def sign(self, team: str, files_hash: str) -> str:
        """A query that lets its bearer send this archive."""
        until = int(time.time()) + ADDRESS_SECONDS
        return f"team={team}&until={until}&signature={self._signature(team, files_hash, until)}"

    def check(self, team: str, files_hash: str, until: str, signature: str) -> None:
        """Refuse a query that `sign` didn't make, or that is over."""
        end = int(until) if until.isdigit() and len(until) < 16 else 0
        expected = self._signature(team, files_hash, end)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise UploadRefusedError("The address of this upload isn't valid; ask for another one.")
        if end < time.time():
            raise UploadRefusedError("The address of this upload is over; ask for another one.")

    def begin(self, team: str, files_hash: str) -> "Upload":
        """Take an archive; it is there once it is whole."""
        path = self.path(team, files_hash)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        return Upload(path, self.largest)

    def sweep(self) -> None:
        """Remove what was not used for longest, past ten gigabytes in all; blocks."""
        files = [(path.stat(), path) for path in self._folder.glob("*/*") if path.suffix != ".part"]
        left = sum(status.st_size for status, _ in files) - KEPT_BYTES
        for status, path in sorted(files, key=lambda pair: pair[0].st_mtime):
            if left <= 0:
                return
            left -= status.st_size
            path.unlink(missing_ok=True)
            log.info("upload_removed", path=str(path), bytes=status.st_size)

    def _signature(self, team: str, files_hash: str, until: int) -> str:
        return hmac.new(self._secret, f"{team}\0{files_hash}\0{until}".encode(), "sha256").hexdigest()


class Upload:
    """An archive under way; `write`, `keep` and `drop` block for the disk."""

    def __init__(self, path: Path, largest: int) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        self._largest = largest
        self._size = 0
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, data: bytes) -> None:
        """Add the next bytes."""
        self._size += len(data)
        if self._size > self._largest:
            raise UploadRefusedError(f"One upload has at most {self._largest} bytes.")
        self._file.write(data)

    def keep(self) -> None:
        """It is whole."""
        self._file.close()
        self._part.replace(self._path)

    def drop(self) -> None:
        """It isn't wanted."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def is_packed(path: Path) -> bool:
    """Whether an archive is gzipped."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
