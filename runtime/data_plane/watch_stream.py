"""What changes in a directory, on a stream: told as it happens, with signs of life in between."""

import asyncio
import time
from typing import Literal

from e2b.envd.filesystem.filesystem_pb import FilesystemEvent, WatchDirResponse
from protobuf import Oneof

from runtime.data_plane.connect_protocol import Call
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.watchers import Watch

KEEPALIVE_SECONDS = 90

_start: Oneof[Literal["start"], WatchDirResponse.StartEvent] = Oneof("start", WatchDirResponse.StartEvent())
_alive: Oneof[Literal["keepalive"], WatchDirResponse.KeepAlive] = Oneof(
    "keepalive", WatchDirResponse.KeepAlive()
)
_STARTED = WatchDirResponse(event=_start)
_ALIVE = WatchDirResponse(event=_alive)


async def stream_changes(call: Call, watch: Watch) -> None:
    """Stream until the client goes away, its deadline passes, or the watch is over."""
    departure = asyncio.ensure_future(_departure(call))
    departure.add_done_callback(lambda _: watch.wake())
    try:
        await call.begin_stream()
        await call.send_message(_STARTED)
        await _stream(call, watch, departure)
    except FileOperationError as error:
        await call.end_stream(error.connect_error)
    finally:
        departure.cancel()


async def _stream(call: Call, watch: Watch, departure: asyncio.Future[None]) -> None:
    deadline = time.monotonic() + call.timeout if call.timeout else None
    interval = _keepalive_interval(call)
    while not departure.done():
        left = interval if deadline is None else min(interval, deadline - time.monotonic())
        if left <= 0:
            raise FileOperationError("deadline_exceeded", "context deadline exceeded")
        changed = await watch.wait(left)
        for event in watch.take():
            await call.send_message(_told(event))
        if not changed:
            await call.send_message(_ALIVE)


async def _departure(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


def _told(event: FilesystemEvent) -> WatchDirResponse:
    told: Oneof[Literal["filesystem"], FilesystemEvent] = Oneof("filesystem", event)
    return WatchDirResponse(event=told)


def _keepalive_interval(call: Call) -> float:
    asked = call.headers.get(b"keepalive-ping-interval", b"")
    return float(max(1, int(asked))) if asked.isdigit() and len(asked) < 6 else KEEPALIVE_SECONDS
