"""The host's end of a supervisor's socket: requests with descriptors, answers, and ends of processes.

What comes back is from inside the sandbox and therefore checked, never trusted.
"""

import array
import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.host.errors import SandboxGoneError, SupervisorError
from runtime.inside.framing import MalformedMessageError, pack, unpack

DATAGRAM_LIMIT = 1 << 18
INLINE_LIMIT = 1 << 16
MESSAGE_LIMIT = 1 << 23
ANSWER_SECONDS = 30
DESCRIPTORS_PER_MESSAGE = 16


@dataclass
class Answer:
    """What a supervisor answered; the one who asked owns the descriptors."""

    fields: list[bytes] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def only_descriptor(self) -> int:
        """The one descriptor that was asked for."""
        if len(self.descriptors) == 1:
            return self.descriptors[0]
        for descriptor in self.descriptors:
            os.close(descriptor)
        raise SandboxGoneError(
            "The sandbox's supervisor answered without the descriptor that it was asked for."
        )


class SupervisorConnection:
    """One connection, on the running event loop."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        on_exit: Callable[[str, int], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._on_lost = on_lost
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._sending = asyncio.Lock()
        self._count = 0
        self._closed = False
        self._loop.add_reader(connection.fileno(), self._receive)

    async def request(
        self,
        verb: str,
        *fields: bytes | str | int,
        descriptors: Sequence[int] = (),
        request: str | None = None,
    ) -> Answer:
        """Ask the supervisor; its refusal is a `SupervisorError`, its end a `SandboxGoneError`."""
        self._count += 1
        name = (request or f"r{self._count}").encode()
        encoded = [verb.encode(), name, *(_encode(each) for each in fields)]
        if self._closed:
            raise SandboxGoneError("The sandbox has ended.")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[name] = answer
        try:
            await self._send(encoded, descriptors)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise SandboxGoneError(f"The sandbox did not answer within {ANSWER_SECONDS} s.") from None
        finally:
            self._waiting.pop(name, None)

    def close(self) -> None:
        """Let go of the supervisor, which goes on by itself."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(SandboxGoneError("The sandbox ended."))
        self._waiting.clear()

    async def _send(self, fields: list[bytes], descriptors: Sequence[int]) -> None:
        try:
            body = pack(*fields, limit=MESSAGE_LIMIT)
        except MalformedMessageError as error:
            raise SupervisorError(errno.E2BIG, "argument list too long") from error
        async with self._sending:
            if len(body) <= INLINE_LIMIT:
                await self._send_datagram(b"I" + body, descriptors)
                return
            whole = os.memfd_create("message", os.MFD_CLOEXEC)
            try:
                os.pwrite(whole, body, 0)
                await self._send_datagram(b"M", [*descriptors, whole])
            finally:
                os.close(whole)

    async def _send_datagram(self, data: bytes, descriptors: Sequence[int]) -> None:
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        while not self._closed:
            try:
                self._socket.sendmsg([data], rights)
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                self._lose()
                raise SandboxGoneError("The sandbox ended.") from error
            else:
                return
        raise SandboxGoneError("The sandbox ended.")

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        descriptor = self._socket.fileno()
        self._loop.add_writer(descriptor, _resolve, ready)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await ready
        finally:
            self._loop.remove_writer(descriptor)

    def _receive(self) -> None:
        while not self._closed:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._socket, DATAGRAM_LIMIT, DESCRIPTORS_PER_MESSAGE
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._lose()
                return
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            self._dispatch(data, list(descriptors))

    def _dispatch(self, data: bytes, descriptors: list[int]) -> None:
        try:
            fields = unpack(data[1:])
        except MalformedMessageError:
            fields = []
        taken = False
        if len(fields) == 3 and fields[0] == b"exit":
            if fields[2].isdigit() and len(fields[2]) < 8:
                self._on_exit(fields[1].decode(errors="replace"), int(fields[2]))
        elif len(fields) >= 2:
            answer = self._waiting.pop(fields[1], None)
            if answer is not None and not answer.done():
                if fields[0] == b"ok":
                    answer.set_result(Answer(fields[2:], descriptors))
                    taken = True
                else:
                    number, text = [*fields[2:], b"0", b"unknown"][:2]
                    number = number if number.isdigit() and len(number) < 8 else b"0"
                    answer.set_exception(SupervisorError(int(number), text.decode(errors="replace")))
        if not taken:
            for descriptor in descriptors:
                os.close(descriptor)

    def _lose(self) -> None:
        if not self._closed:
            self.close()
            self._on_lost()


def _encode(value: bytes | str | int) -> bytes:
    if isinstance(value, bytes):
        return value
    return os.fsencode(value) if isinstance(value, str) else b"%d" % value


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
