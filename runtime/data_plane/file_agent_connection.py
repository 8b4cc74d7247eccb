"""The host's end of a file agent: requests with pipes, answers, and events.

Whatever runs in the sandbox can speak in the agent's place, so every answer is checked: its length, its
fields, and that it was asked for. No descriptor is ever taken from inside.
"""

import array
import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

from runtime.data_plane.file_errors import FileAgentGoneError, FileOperationError
from runtime.inside.framing import MAX_MESSAGE_BYTES, MalformedMessageError, pack, unpack

QUICK_SECONDS = 30.0
LONG_SECONDS = 600.0
MAX_REQUESTS = 96
MAX_WATCHES = 64
MESSAGES_PER_TURN = 64
MAX_ERROR_CHARACTERS = 8_192

# What undoes a request whose answer comes when nobody waits for it any more.
_UNDOING = {"open": "close", "receive": "abandon", "watch": "unwatch"}

EventListener = Callable[[list[bytes]], None]


class PendingRequest:
    """A request that was sent: its id, by which later ones refer to it, and its answer."""

    def __init__(self, number: bytes, operation: str, answer: asyncio.Future[list[bytes]]) -> None:
        self.number = number
        self.operation = operation
        self._answer = answer

    @property
    def ended(self) -> bool:
        """Whether it was answered, one way or the other."""
        return self._answer.done()

    async def answer(self, seconds: float) -> list[bytes]:
        """The fields answered; raises FileOperationError, also where the time is over."""
        try:
            async with asyncio.timeout(seconds):
                return await self._answer
        except TimeoutError:
            message = f"the sandbox did not finish the file operation within {seconds:g} s"
            raise FileOperationError("deadline_exceeded", message) from None


class FileAgentConnection:
    """One file agent, on the running event loop."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._waiting: dict[bytes, tuple[str, asyncio.Future[list[bytes]]]] = {}
        self._listeners: dict[bytes, EventListener] = {}
        self._holds = 0
        self._used = time.monotonic()
        self.closed = False
        self._loop.add_reader(connection.fileno(), self._receive)

    @property
    def idle_seconds(self) -> float:
        """How long nothing has been asked, held or watched."""
        if self._waiting or self._listeners or self._holds:
            return 0.0
        return time.monotonic() - self._used

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the agent for several requests that belong together."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._used = time.monotonic()

    async def ask(self, operation: str, *fields: bytes, seconds: float = QUICK_SECONDS) -> list[bytes]:
        """Send a request and wait for its answer; raises FileOperationError."""
        request = self.send(operation, *fields)
        try:
            return await request.answer(seconds)
        finally:
            self.forget(request)

    def send(
        self, operation: str, *fields: bytes, pipe: int | None = None, listener: EventListener | None = None
    ) -> PendingRequest:
        """Send a request, with one end of a pipe (which stays the caller's to close).

        `listener` is called with the fields of each event of this request, until `stop_listening`.
        Whoever sends must `forget` in the end.
        """
        if self.closed:
            raise FileAgentGoneError
        if listener is not None and len(self._listeners) >= MAX_WATCHES:
            message = f"a sandbox has at most {MAX_WATCHES} watchers at once"
            raise FileOperationError("resource_exhausted", message)
        if len(self._waiting) >= MAX_REQUESTS:
            raise FileOperationError("resource_exhausted", "too many file operations at once in this sandbox")
        self._count += 1
        number = b"%d" % self._count
        self._transmit([number, operation.encode(), *fields], pipe)
        answer: asyncio.Future[list[bytes]] = self._loop.create_future()
        self._waiting[number] = (operation, answer)
        if listener is not None:
            self._listeners[number] = listener
        return PendingRequest(number, operation, answer)

    def forget(self, request: PendingRequest) -> None:
        """Wait for this answer no more; what it leaves open inside is undone when it comes."""
        if not request.ended:
            request._answer.cancel()
        elif not request._answer.cancelled():
            request._answer.exception()

    def undo(self, request: PendingRequest) -> None:
        """Let go of what an answered request left open inside."""
        self._listeners.pop(request.number, None)
        self._undo(request.operation, request.number)

    def close(self) -> None:
        """End the agent; whoever waits for it learns that it is gone."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(FileAgentGoneError())
        self._waiting.clear()
        for listener in list(self._listeners.values()):
            listener([b"gone"])
        self._listeners.clear()

    def _undo(self, operation: str, number: bytes) -> None:
        undoing = _UNDOING.get(operation)
        if undoing is not None and not self.closed:
            with contextlib.suppress(FileOperationError):
                self.forget(self.send(undoing, number))

    def _transmit(self, fields: list[bytes], pipe: int | None) -> None:
        rights = [] if pipe is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pipe]))]
        try:
            self._socket.sendmsg([pack(*fields)], rights)
        except MalformedMessageError:
            message = "the request's paths and metadata are too long"
            raise FileOperationError("invalid_argument", message) from None
        except BlockingIOError:
            message = "the sandbox does not take file operations fast enough; ask again later"
            raise FileOperationError("resource_exhausted", message) from None
        except OSError:
            self.close()
            raise FileAgentGoneError from None

    def _receive(self) -> None:
        for _ in range(MESSAGES_PER_TURN):
            try:
                message = self._socket.recv(MAX_MESSAGE_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            try:
                fields = unpack(message)
            except MalformedMessageError:
                fields = []
            if len(message) > MAX_MESSAGE_BYTES or len(fields) < 2:
                self.close()
                return
            self._dispatch(fields[0], fields[1], fields[2:])
            if self.closed:
                return

    def _dispatch(self, number: bytes, verb: bytes, fields: list[bytes]) -> None:
        if verb == b"event":
            listener = self._listeners.get(number)
            if listener is not None:
                listener(fields)
            return
        operation, answer = self._waiting.pop(number, ("", None))
        self._used = time.monotonic()
        if answer is None:
            return
        if answer.done():
            self._listeners.pop(number, None)
            if verb == b"ok":
                self._undo(operation, number)
        elif verb == b"ok":
            answer.set_result(fields)
        else:
            self._listeners.pop(number, None)
            kind, message = (*fields, b"internal", b"")[:2]
            text = message.decode(errors="replace")[:MAX_ERROR_CHARACTERS]
            answer.set_exception(FileOperationError(kind.decode(errors="replace"), text))


def number_in(field: bytes) -> int:
    """A count of bytes or entries told from inside, or a refusal where it is none."""
    if field.isdigit() and len(field) <= 18:
        return int(field)
    raise FileOperationError("internal", "the sandbox's file agent answered with something that is no number")


def path_bytes(path: str) -> bytes:
    """A path of a request as the sandbox's file system names it."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        raise FileOperationError("invalid_argument", "the path is not valid Unicode") from None
