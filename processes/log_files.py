"""Log files that cannot fill the disk."""

from contextlib import suppress
from pathlib import Path

BYTES_PER_FILE = 10_000_000
OLD_FILES = 3


class RotatingLog:
    """A file that is put aside when it is full; the oldest of those put aside is dropped."""

    def __init__(
        self, path: Path, *, bytes_per_file: int = BYTES_PER_FILE, old_files: int = OLD_FILES
    ) -> None:
        self._path = path
        self._bytes_per_file = bytes_per_file
        self._old_files = old_files
        self._file = path.open("ab", buffering=0)
        self._written = self._file.tell()

    def write(self, data: bytes) -> None:
        """Append `data`; a full disk loses log lines, not the process that writes them."""
        if self._written and self._written + len(data) > self._bytes_per_file:
            self._rotate()
        with suppress(OSError):
            self._written += self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._old_files, 0, -1):
            newer = self._path if number == 1 else self._numbered(number - 1)
            if newer.exists():
                newer.replace(self._numbered(number))
        self._file = self._path.open("ab", buffering=0)
        self._written = 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
