"""Writing files so that a half one never takes the place of a whole one: beside it first, then renamed."""

from __future__ import annotations

import errno
import os
import stat

from runtime.inside.entries import METADATA_PREFIX, metadata
from runtime.inside.paths import follow_last_link, make_parents
from runtime.inside.refusals import RefusalError, refusal_of

TYPE_CHECKING = False  # as in typing, whose import costs a sandbox milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1_048_576
_PREFIX = b".e2b-upload-"
_RANDOM_BYTES = 8
_NAME_BYTES = len(_PREFIX) + 2 * _RANDOM_BYTES + 2
_NEW, _REPLACING = b"-n", b"-r"


def is_unfinished_upload(name: bytes) -> bool:
    """Whether this is the name of an upload under way, which nobody is shown."""
    return name.startswith(_PREFIX) and len(name) == _NAME_BYTES


def replaces_a_file(name: bytes) -> bool:
    """Whether the upload under this name will take the place of a file that was there."""
    return name.endswith(_REPLACING)


class Upload:
    """A file being written beside the path it will have."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self._target = follow_last_link(path)
        directory = os.path.dirname(self._target)
        try:
            status: os.stat_result | None = os.stat(self._target)
        except (FileNotFoundError, NotADirectoryError):
            status = None
            make_parents(directory)
        except OSError as error:
            raise refusal_of(error, b"error getting file info of " + path) from error
        self._refuse_unless_file(status)
        kind = _NEW if status is None else _REPLACING
        self._beside = os.path.join(directory, _PREFIX + os.urandom(_RANDOM_BYTES).hex().encode() + kind)
        try:
            self._file = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            if status is not None:
                os.fchmod(self._file, stat.S_IMODE(status.st_mode))
        except OSError as error:
            raise refusal_of(error, b"error opening file " + path) from error

    def _refuse_unless_file(self, status: os.stat_result | None) -> None:
        if status is None or stat.S_ISREG(status.st_mode):
            return
        what = b"path is a directory: " if stat.S_ISDIR(status.st_mode) else b"path is not a regular file: "
        raise RefusalError(b"invalid_argument", what + self.path)

    def receive(self, pipe: int, gzipped: bool) -> int:
        """Take everything from a pipe until its end, unpacked where it is gzip; gives the bytes written."""
        source = _unzipped(pipe) if gzipped else _chunks(pipe)
        written = 0
        try:
            for chunk in source:
                position = 0
                while position < len(chunk):
                    position += os.write(self._file, chunk[position:])
                written += position
        except OSError as error:
            raise refusal_of(error, b"error writing file " + self.path) from error
        return written

    def append(self, source: bytes) -> None:
        """Add the whole of another file."""
        try:
            file = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise refusal_of(error, b"source file not found: " + source) from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise RefusalError(b"invalid_argument", b"source path is not a regular file: " + source)
            self.receive(file, gzipped=False)
        finally:
            os.close(file)

    def commit(self, wanted_metadata: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Put the file in its place with this metadata and no other; gives the metadata it has."""
        try:
            self._set_metadata(wanted_metadata)
            kept = list(metadata(self._beside).items())
            os.rename(self._beside, self._target)
        except OSError as error:
            self.abandon()
            raise refusal_of(error, b"error finishing file " + self.path) from error
        os.close(self._file)
        self._file = -1
        return kept

    def _set_metadata(self, wanted: list[tuple[bytes, bytes]]) -> None:
        try:
            for key, value in wanted:
                os.setxattr(self._file, METADATA_PREFIX.encode() + key, value)
        except OSError as error:
            self.abandon()
            if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.ENAMETOOLONG):
                message = b"the file system keeps no metadata of this size on " + self.path
                raise RefusalError(b"invalid_argument", message) from error
            raise refusal_of(error, b"error keeping metadata on " + self.path) from error

    def abandon(self) -> None:
        """Forget what was written; the file that was there stays as it is."""
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        try:
            os.unlink(self._beside)
        except OSError:
            return  # removed by the sandbox itself: what we want is so already


def compose(destination: bytes, sources: list[bytes]) -> None:
    """Make one file of several, in order, and remove them; on a refusal all stay as they are."""
    if destination in sources:
        message = b"source path cannot be the same as destination: " + destination
        raise RefusalError(b"invalid_argument", message)
    upload = Upload(destination)
    try:
        for source in sources:
            upload.append(source)
        upload.commit([])
    finally:
        upload.abandon()
    for source in sources:
        try:
            os.unlink(source)
        except OSError as error:
            raise refusal_of(error, b"composed, but error removing source " + source) from error


def _chunks(pipe: int) -> Iterator[memoryview]:
    """What comes from a pipe, each piece to be used before the next; fresh memory for each costs more."""
    with memoryview(bytearray(CHUNK_BYTES)) as buffer:
        while length := os.readv(pipe, [buffer]):
            yield buffer[:length]


def _unzipped(pipe: int) -> Iterator[memoryview]:
    """The content of a gzip stream of one or several members, in pieces of bounded size."""
    import zlib

    inflater = zlib.decompressobj(wbits=31)
    try:
        for chunk in _chunks(pipe):
            rest: bytes | memoryview = chunk
            while rest:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=31)
                yield memoryview(inflater.decompress(rest, CHUNK_BYTES))
                rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        yield memoryview(inflater.flush())
    except zlib.error as error:
        raise RefusalError(b"invalid_argument", f"the body is not valid gzip: {error}") from error
    if not inflater.eof:
        raise RefusalError(b"invalid_argument", "the body ends in the middle of its gzip stream")
