"""Bounds on clients that don't read: what waits for them stays small, and they don't stay for ever.

uvicorn holds a sender back while 64 KiB wait to be written; these protocols also end the connection when
nothing moves for a while, and read nothing more from a client that doesn't read.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STALL_SECONDS = 30.0
CLOSE_SECONDS = 5.0
POLICY_VIOLATION = 1008


class StallLimitedHTTP(HttpToolsProtocol):
    """HTTP whose connection is cut when the client has read nothing for `STALL_SECONDS`."""

    stall_seconds = STALL_SECONDS
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Start the clock: what is written isn't read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads again."""
        super().resume_writing()
        self._stop_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock: the connection is gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class StallLimitedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is closed with 1008 when the client has read nothing for `STALL_SECONDS`."""

    stall_seconds = STALL_SECONDS
    close_seconds = CLOSE_SECONDS
    _stalled: asyncio.TimerHandle | None = None
    _aborting: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take no more from a client that doesn't read: each ping would queue one more pong for it."""
        super().data_received(data)
        if not self.writable.is_set() and not self.transport.is_closing():
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        """Start the clock: what is written isn't read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_seconds, self._give_up)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads again."""
        super().resume_writing()
        self._stop_clock()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks: the connection is gone."""
        self._stop_clock()
        if self._aborting is not None:
            self._aborting.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        self._aborting = self.loop.call_later(self.close_seconds, self.transport.abort)
        if self.close_sent or not self.handshake_complete:
            return
        self.conn.send_close(POLICY_VIOLATION, f"Nothing was read for {self.stall_seconds:.0f} seconds.")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # For the application the client is gone; its senders stop waiting.
        self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION})
        self.writable.set()

    def _stop_clock(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
