"""A process's events on a stream: its start, its output while it comes, and how it ended."""

import asyncio

from runtime.data_plane.connect_protocol import Call, ConnectError, StreamAbortedError
from runtime.data_plane.process_events import data_event, end_event, keepalive_event, start_event
from runtime.host.attachment import Attachment
from runtime.host.ending import Ending
from runtime.host.process import Process

DATA_AT_ONCE = 1 << 19
KEEPALIVE_SECONDS = 90
TIME_OVER = ConnectError("deadline_exceeded", "context deadline exceeded")


class _Client:
    """Whether the client is still there, and when it next wants a sign of life."""

    def __init__(self, call: Call, attachment: Attachment) -> None:
        self.gone = False
        self.keepalive_due = False
        self._call = call
        self._attachment = attachment
        self._loop = asyncio.get_running_loop()
        self._interval = _keepalive_interval(call)
        self._watch = self._loop.create_task(self._notice_departure())
        self._timer = self._loop.call_later(self._interval, self._keepalive)

    def close(self) -> None:
        self._watch.cancel()
        self._timer.cancel()

    async def _notice_departure(self) -> None:
        while (await self._call.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._attachment.wake()

    def _keepalive(self) -> None:
        self.keepalive_due = True
        self._timer = self._loop.call_later(self._interval, self._keepalive)
        self._attachment.wake()


async def stream_events(call: Call, process: Process, attachment: Attachment) -> None:
    """Stream until the process has ended, its deadline has passed, or the client has gone."""
    client = _Client(call, attachment)
    try:
        await call.begin_stream()
        await call.send_part(start_event(call, process.pid))
        await _stream_output(call, process, attachment, client)
    finally:
        client.close()
        process.detach(attachment)


async def _stream_output(call: Call, process: Process, attachment: Attachment, client: _Client) -> None:
    while not client.gone:
        if attachment.aborted:
            raise StreamAbortedError("the sandbox ended or was paused before the process was seen to end")
        if attachment.expired:
            await call.end_stream(TIME_OVER)
            return
        if client.keepalive_due:
            client.keepalive_due = False
            await call.send_part(keepalive_event(call))
        taken = attachment.take(DATA_AT_ONCE)
        if taken is not None:
            await call.send_part(data_event(call, *taken))
            attachment.taken()
        elif process.ending is not None:
            await _tell_end(call, process, process.ending)
            return
        else:
            await attachment.wait()


async def _tell_end(call: Call, process: Process, ending: Ending) -> None:
    if process.timed_out and process.request.until_acknowledged:
        await call.end_stream(TIME_OVER)
        return
    await call.send_part(end_event(call, ending))
    await call.end_stream()


def _keepalive_interval(call: Call) -> int:
    asked = call.headers.get(b"keepalive-ping-interval", b"")
    return max(1, int(asked)) if asked.isdigit() and len(asked) < 6 else KEEPALIVE_SECONDS
