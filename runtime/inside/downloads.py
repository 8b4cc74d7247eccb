"""Reading files: opened once, so that what was looked at is what is sent, then streamed into a pipe."""

from __future__ import annotations

import os
import stat

from runtime.inside.refusals import RefusalError, refusal_of
from runtime.inside.trees import write_all

CHUNK_BYTES = 1_048_576


class Download:
    """An open regular file; `size` is its length in bytes when it was opened."""

    def __init__(self, path: bytes) -> None:
        try:
            # Not blocking: opening a FIFO must not wait for a writer.
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            raise RefusalError(b"not_found", b"path '" + path + b"' does not exist") from None
        except OSError as error:
            raise refusal_of(error, b"error opening file '" + path + b"'") from error
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            what = b"a directory" if stat.S_ISDIR(status.st_mode) else b"not a regular file"
            raise RefusalError(b"invalid_argument", b"path '" + path + b"' is " + what)
        self.modified_ns = status.st_mtime_ns
        # The kernel's own files (/proc, /sys) have content but no size: a first piece is read to know it.
        self._content = b"" if status.st_size else self._read_unsized(path)
        self.size = status.st_size or len(self._content)

    def _read_unsized(self, path: bytes) -> bytes:
        content = b""
        try:
            while len(content) < CHUNK_BYTES and (piece := os.read(self._file, CHUNK_BYTES - len(content))):
                content += piece
        except OSError as error:
            self.close()
            raise refusal_of(error, b"error reading file '" + path + b"'") from error
        return content

    def send(self, pipe: int, offset: int, length: int, gzipped: bool) -> int:
        """Stream a part of the file into a pipe, packed where gzip is asked for; gives the bytes read."""
        if gzipped:
            return self._send_gzipped(pipe, offset, length)
        if self._content:
            part = self._content[offset : offset + length]
            write_all(pipe, part)
            return len(part)
        sent = 0
        while sent < length:
            moved = os.sendfile(pipe, self._file, offset + sent, min(CHUNK_BYTES, length - sent))
            if not moved:
                break  # the file became shorter while it was read: the receiver counts, and says so
            sent += moved
        return sent

    def _send_gzipped(self, pipe: int, offset: int, length: int) -> int:
        import zlib

        packer = zlib.compressobj(wbits=31, level=1)
        sent = 0
        while sent < length:
            end = min(offset + length, offset + sent + CHUNK_BYTES)
            chunk = self._content[offset + sent : end] or os.pread(
                self._file, end - offset - sent, offset + sent
            )
            if not chunk:
                break
            sent += len(chunk)
            write_all(pipe, packer.compress(chunk))
        write_all(pipe, packer.flush())
        return sent

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
