"""The output of a running process, byte for byte, as fast as it is taken.

Nothing is read from the connection until the consumer asks: a slow consumer slows the process, never
fills the memory.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.process.process_pb import ConnectResponse, ProcessEvent, StartResponse
from protobuf import Oneof

from commandcenter.errors import DomainError
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended, ended
from commandcenter.providers.errors import OutputInterruptedError
from commandcenter.providers.mapping import Subject, raise_if_cancelled
from commandcenter.providers.phrasing import timed_out, unavailable

OutputStream = Literal["stdout", "stderr", "pty"]
ProcessEvents = AsyncGenerator[StartResponse | ConnectResponse, None]

_DRAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Output:
    """Some bytes that a process wrote, in order within their stream."""

    stream: OutputStream
    data: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Output of a stream that could not be kept, and why: bytes `[from_offset, to_offset)`.

    Without `to_offset` nobody knows how much is missing; what follows is counted on from `from_offset`.
    """

    stream: OutputStream
    from_offset: int
    to_offset: int | None
    reason: str


class ProcessOutput(Protocol):
    """What `RunningProcess` is, also where output comes another way: then some of it may be `Missing`."""

    @property
    def attachment(self) -> Attachment:
        """The way to its sandbox."""

    @property
    def pid(self) -> int:
        """The process's number in its sandbox; 0 where it has ended and nobody knows it any more."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Output | Missing | Ended: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def aclose(self) -> None:
        """Stop reading; the process goes on."""


class RunningProcess:
    """A process's output as an async iterator: any number of `Output`, then exactly one `Ended`.

    Raises `OutputInterruptedError` where the stream breaks before the end was seen. To stop reading does
    not end the process, and to cancel a pending read closes the stream: keep one reading task, and use
    `connect` to read on later (what was written meanwhile is lost at providers that keep nothing).
    """

    def __init__(
        self, attachment: Attachment, events: ProcessEvents, pid: int, *, may_time_out: bool
    ) -> None:
        self.pid = pid
        self.attachment = attachment
        self._events = events
        self._may_time_out = may_time_out
        self._end_seen = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output | Ended:
        if self._end_seen:
            await self.aclose()
            raise StopAsyncIteration
        while True:
            try:
                event = await _next_event(self._events, self.attachment.silence_seconds)
            except Exception as error:
                return await self._broken(error)
            match event:
                case Oneof(field="data", value=ProcessEvent.DataEvent(output=Oneof() as output)):
                    if output.value:
                        return Output(output.field, output.value)
                case Oneof(field="end", value=end):
                    self._end_seen = True
                    return ended(end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading; the process goes on."""
        if self._end_seen:
            # Read to the very end, so that the connection can serve the next command.
            with suppress(Exception):
                await _next_event(self._events, _DRAIN_SECONDS)
        await self._events.aclose()

    async def _broken(self, error: Exception) -> Ended:
        if isinstance(error, ConnectError) and error.code is Code.DEADLINE_EXCEEDED and self._may_time_out:
            self._end_seen = True
            return Ended(exit_code=None, error=error.message, timed_out=True)
        await self._events.aclose()
        process = f"process {self.pid} of sandbox {self.attachment.details.sandbox_id}"
        if isinstance(error, StopAsyncIteration):
            reason: DomainError = unavailable(self.attachment.provider, "the stream ended early")
        elif isinstance(error, TimeoutError):
            reason = timed_out(
                self.attachment.provider, f"no sign of life for {self.attachment.silence_seconds:g} s"
            )
        else:
            reason = await self.attachment.explain(error, Subject.PROCESS)
        raise OutputInterruptedError(
            f"The output of {process} broke off before its end was seen: {reason.message}", reason
        ) from error


async def opened(attachment: Attachment, events: ProcessEvents, *, may_time_out: bool) -> RunningProcess:
    """The process whose stream `events` is, once the provider has confirmed it with its number."""
    async with attachment.errors(Subject.PROCESS):
        try:
            event = await _next_event(events, attachment.request_seconds)
            pid = _started_pid(event)
        except BaseException:
            await events.aclose()
            raise
    return RunningProcess(attachment, events, pid, may_time_out=may_time_out)


def _started_pid(event: object) -> int:
    match event:
        case Oneof(field="start", value=ProcessEvent.StartEvent(pid=pid)):
            return pid
    raise ConnectError(Code.INTERNAL, f"the stream did not open with the process's number, but {event}")


async def _next_event(events: ProcessEvents, seconds: float) -> object:
    async with asyncio.timeout(seconds):
        try:
            message = await anext(events)
        except ConnectError as error:
            # connectrpc hides a cancellation; `asyncio.timeout` must see its own.
            raise_if_cancelled(error)
            raise
    return message.event.event if message.event is not None else None
