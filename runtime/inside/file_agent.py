"""The file agent: run inside a sandbox, it does what the host is asked about files there.

The host never opens a path of a sandbox. It sends requests over a socket (descriptor 3), and content
through pipes that it makes; this program has no more rights than the sandbox's user, so no link leads out.
Quick requests are answered in turn; what may take long, and every transfer, has a thread of its own.
Its argument is the user's home. It ends when the host closes the socket. Only cheap modules are imported,
so that it starts in milliseconds.
"""

from __future__ import annotations

import _socket
import _thread
import os
import select
import sys

if __name__ == "__main__":
    # In a sandbox these files lie in one directory; they are the package runtime.inside all the same.
    for name, places in (("runtime", []), ("runtime.inside", [os.path.dirname(os.path.abspath(__file__))])):
        sys.modules[name] = type(sys)(name)
        sys.modules[name].__path__ = places

from runtime.inside.downloads import Download
from runtime.inside.entries import describe
from runtime.inside.framing import MAX_MESSAGE_BYTES, MalformedMessageError, pack, unpack
from runtime.inside.paths import expand
from runtime.inside.refusals import RefusalError, refusal_of
from runtime.inside.trees import list_tree, make_directory, move, remove
from runtime.inside.uploads import Upload, compose

TYPE_CHECKING = False  # as in typing, whose import costs a sandbox milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.inside.watches import Watch

HOST_DESCRIPTOR = 3
MAX_OPEN_FILES = 64
MAX_WATCHES = 64
_DESCRIPTOR_BYTES = 4


class FileAgent:
    """Answers the requests of one host."""

    def __init__(self, host: _socket.socket, home: bytes) -> None:
        self._host = host
        self._home = home
        self._poll = select.epoll()
        self._poll.register(host.fileno(), select.EPOLLIN)
        self._downloads: dict[bytes, Download] = {}
        self._uploads: dict[bytes, Upload] = {}
        self._watches: dict[bytes, Watch] = {}
        self._quick: dict[bytes, Callable[..., list[bytes]]] = {
            b"stat": lambda _, path: [describe(self._path(path))],
            b"make_directory": lambda _, path: [make_directory(self._path(path))],
            b"move": lambda _, source, target: [move(self._path(source), self._path(target))],
            b"open": self._open,
            b"close": self._close,
            b"commit": self._commit,
            b"abandon": self._abandon,
            b"unwatch": self._unwatch,
        }
        self._slow: dict[bytes, Callable[..., list[bytes]]] = {
            b"list": self._list,
            b"remove": self._remove,
            b"send": self._send,
            b"receive": self._receive,
            b"compose": self._compose,
            b"watch": self._watch,
        }

    def serve(self) -> None:
        """Answer until the host goes away, then leave no unfinished file behind."""
        try:
            while self._serve_next():
                pass
        finally:
            for upload in list(self._uploads.values()):
                upload.abandon()

    def _serve_next(self) -> bool:
        """Answer what is next; False when the host has gone."""
        for descriptor, _ in self._poll.poll():
            if descriptor != self._host.fileno():
                self._report_changes(descriptor)
            elif not self._take_request():
                return False
        return True

    def _take_request(self) -> bool:
        try:
            message, ancillary, _, _ = self._host.recvmsg(
                MAX_MESSAGE_BYTES, _socket.CMSG_SPACE(_DESCRIPTOR_BYTES), _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return False  # it was killed, with something of ours unread
        if not message:
            return False
        pipe = int.from_bytes(ancillary[0][2][:_DESCRIPTOR_BYTES], sys.byteorder) if ancillary else -1
        request, operation, *arguments = unpack(message)
        if operation in self._quick:
            self._answer(request, self._quick[operation], request, *arguments)
            return True
        try:
            _thread.start_new_thread(self._work, (request, operation, pipe, arguments))
        except RuntimeError:
            self._close_pipe(pipe)
            self._say(request, b"error", b"resource_exhausted", b"the sandbox has no free process slot")
        return True

    def _work(self, request: bytes, operation: bytes, pipe: int, arguments: list[bytes]) -> None:
        try:
            self._answer(request, self._slow[operation], request, pipe, *arguments)
        finally:
            self._close_pipe(pipe)

    def _answer(self, request: bytes, operation: Callable[..., list[bytes]], *arguments: object) -> None:
        try:
            fields = operation(*arguments)
        except RefusalError as refusal:
            self._say(request, b"error", refusal.kind, refusal.message)
        except OSError as error:
            known = refusal_of(error, b"the file operation failed")
            self._say(request, b"error", known.kind, known.message)
        except MalformedMessageError:
            self._say(request, b"error", b"invalid_argument", b"the answer would be too long")
        except Exception as error:
            self._say(request, b"error", b"internal", repr(error).encode()[:1_000])
        else:
            self._say(request, b"ok", *fields)

    def _say(self, *fields: bytes) -> None:
        self._host.send(pack(*fields))

    def _path(self, path: bytes) -> bytes:
        return expand(path, self._home)

    @staticmethod
    def _close_pipe(pipe: int) -> None:
        if pipe >= 0:
            os.close(pipe)

    def _list(self, _request: bytes, pipe: int, path: bytes, depth: bytes, most: bytes) -> list[bytes]:
        return [b"%d" % list_tree(self._path(path), int(depth), int(most), pipe)]

    def _remove(self, _request: bytes, _pipe: int, path: bytes) -> list[bytes]:
        remove(self._path(path))
        return []

    def _open(self, request: bytes, path: bytes) -> list[bytes]:
        if len(self._downloads) >= MAX_OPEN_FILES:
            raise RefusalError(b"resource_exhausted", "too many files of this sandbox are being read at once")
        download = Download(self._path(path))
        self._downloads[request] = download
        return [b"%d" % download.size, b"%d" % download.modified_ns]

    def _send(
        self, _request: bytes, pipe: int, opened: bytes, offset: bytes, length: bytes, encoding: bytes
    ) -> list[bytes]:
        download = self._downloads.pop(opened)
        try:
            return [b"%d" % download.send(pipe, int(offset), int(length), encoding == b"gzip")]
        finally:
            download.close()

    def _close(self, _request: bytes, opened: bytes) -> list[bytes]:
        if opened in self._downloads:
            self._downloads.pop(opened).close()
        return []

    def _receive(self, request: bytes, pipe: int, path: bytes, encoding: bytes) -> list[bytes]:
        # Known from its first byte: the host may go away at any of them.
        upload = self._uploads[request] = Upload(self._path(path))
        try:
            written = upload.receive(pipe, encoding == b"gzip")
        except BaseException:
            self._uploads.pop(request, upload).abandon()
            raise
        return [upload.path, b"%d" % written]

    def _commit(self, _request: bytes, received: bytes, *metadata: bytes) -> list[bytes]:
        pairs = [(metadata[index], metadata[index + 1]) for index in range(0, len(metadata), 2)]
        return [field for pair in self._uploads.pop(received).commit(pairs) for field in pair]

    def _abandon(self, _request: bytes, received: bytes) -> list[bytes]:
        if received in self._uploads:
            self._uploads.pop(received).abandon()
        return []

    def _compose(self, _request: bytes, _pipe: int, destination: bytes, *sources: bytes) -> list[bytes]:
        path = self._path(destination)
        compose(path, [self._path(source) for source in sources])
        return [path]

    def _watch(
        self, request: bytes, _pipe: int, path: bytes, recursive: bytes, include_entry: bytes
    ) -> list[bytes]:
        from runtime.inside.watches import Watch

        if len(self._watches) >= MAX_WATCHES:
            raise RefusalError(b"resource_exhausted", f"a sandbox has at most {MAX_WATCHES} watchers at once")

        def report(meaning: bytes, name: bytes, entry: bytes) -> None:
            self._say(request, b"event", meaning, name, entry)

        watch = Watch(self._path(path), recursive == b"yes", include_entry == b"yes", report)
        self._watches[request] = watch
        self._poll.register(watch.descriptor, select.EPOLLIN)
        return []

    def _unwatch(self, _request: bytes, watched: bytes) -> list[bytes]:
        watch = self._watches.pop(watched, None)
        if watch is not None:
            self._poll.unregister(watch.descriptor)
            watch.close()
        return []

    def _report_changes(self, descriptor: int) -> None:
        for watch in list(self._watches.values()):
            if watch.descriptor == descriptor:
                watch.read()


if __name__ == "__main__":
    os.umask(0o022)
    socket = _socket.socket(fileno=HOST_DESCRIPTOR)
    os.set_inheritable(HOST_DESCRIPTOR, False)
    FileAgent(socket, os.fsencode(sys.argv[1])).serve()
