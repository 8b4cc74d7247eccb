"""The way out of one sandbox: a proxy on a listening socket that lies inside and was passed out.

Nothing of the sandbox's network touches the host's: what comes are requests, and they are judged here.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from runtime.network.addresses import Address, Wall
from runtime.network.fields import HEADER_VALUE
from runtime.network.flow import Flow, original_destination
from runtime.network.name_server import NameServer
from runtime.network.outward import Destination, Outward, RefusedError, connect, connect_checked
from runtime.network.placeholders import filled
from runtime.network.policy import Policy
from runtime.network.relay import Streams
from runtime.network.resolver import LOOKUPS_AT_ONCE, SystemResolver

log = structlog.get_logger("runtime.network")

PROXY_PORT = 3128
REDIRECTED_PORT = 3129
QUESTIONS_PORT = 3153
PROXY = f"http://127.0.0.1:{PROXY_PORT}"
NOT_PROXIED = "localhost,127.0.0.1,::1"
PROXY_VARIABLES = {
    "HTTP_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "http_proxy": PROXY,
    "https_proxy": PROXY,
    "NO_PROXY": NOT_PROXIED,
    "no_proxy": NOT_PROXIED,
    # Node's own fetch asks these variables only when told to.
    "NODE_USE_ENV_PROXY": "1",
}
CONNECTIONS_OF_A_SANDBOX = 256
CONNECTIONS_OF_ALL = 4096
IDLE_SECONDS = 600
SWEEP_SECONDS = 10
REFUSAL_PAUSE_SECONDS = 0.01
REFUSALS_KEPT = 20

Serve = Callable[["SandboxEgress", Flow], Awaitable[None]]


@dataclass
class Ways:
    """What all sandboxes' ways out share."""

    wall: Wall
    serve: Serve
    """Serves one connection to the proxy, in whatever protocol it speaks."""
    serve_redirected: Serve
    """Serves one connection of a program that asked no proxy."""
    secret: Callable[[str, str], str]
    """The value of a secret, by team and name; raises LookupError where there is none."""
    lookups: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOOKUPS_AT_ONCE))
    open: int = 0
    """Connections of all sandboxes together."""


@dataclass
class Counters:
    """What went through, in bytes and connections, since the runtime took the sandbox up."""

    connections: int = 0
    refused: int = 0
    turned_away: int = 0
    """Connections beyond the bound."""
    sent: int = 0
    received: int = 0
    refusals: deque[str] = field(default_factory=lambda: deque(maxlen=REFUSALS_KEPT))
    """Why the last of them were refused."""


class SandboxEgress:
    """Accepts from inside and serves, until it is closed."""

    def __init__(self, sandbox_id: str, team: str, policy: Policy, ways: Ways) -> None:
        self.counters = Counters()
        self._sandbox_id = sandbox_id
        self._team = team
        self._listeners: list[socket.socket] = []
        self._policy = policy
        self._ways = ways
        self._flows: dict[Flow, asyncio.Task[None]] = {}
        self._resolver = SystemResolver(ways.lookups)
        self._name_server = NameServer(lambda: self._policy, self._resolver)
        self._tasks = [asyncio.ensure_future(self._sweep())]

    def open_proxy(self, listener: socket.socket) -> None:
        """Serve the proxy on this socket."""
        self._open(listener, self._ways.serve)

    async def open_redirection(self, listener: socket.socket, questions: socket.socket) -> None:
        """Serve what the sandbox's kernel turns to us: connections, and questions for names."""
        self._open(listener, self._ways.serve_redirected)
        await self._name_server.open(questions)

    def _open(self, listener: socket.socket, serve: Serve) -> None:
        listener.setblocking(False)
        self._listeners.append(listener)
        self._tasks.append(asyncio.ensure_future(self._accept(listener, serve)))

    @property
    def policy(self) -> Policy:
        """What is allowed now."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        """Allow something else from now on; open connections that it doesn't allow break off."""
        self._policy = policy
        for flow in list(self._flows):
            if flow.address is not None and not policy.permits(flow.name, flow.address):
                flow.abort()

    def headers_for(self, name: str) -> dict[str, str]:
        """The headers that rules set for requests to a name, with their secrets; `RefusedError` without."""
        return {
            header: self._filled(header, value) for header, value in self._policy.headers_for(name).items()
        }

    def figures(self) -> dict[str, Any]:
        """What went through until now, and what was refused, as the runtime's own API shows it."""
        counters = self.counters
        return {
            "openConnections": len(self._flows),
            "connections": counters.connections,
            "sentBytes": counters.sent + sum(flow.sent for flow in self._flows),
            "receivedBytes": counters.received + sum(flow.received for flow in self._flows),
            "refused": counters.refused,
            "turnedAway": counters.turned_away,
            "lastRefusals": list(counters.refusals),
        }

    def close(self) -> None:
        """Break everything off; the socket inside stays with the supervisor."""
        for task in (*self._tasks, *self._flows.values()):
            task.cancel()
        for flow in list(self._flows):
            flow.abort()
        for listener in self._listeners:
            listener.close()
        self._name_server.close()

    async def open_outward(self, flow: Flow, wanted: Destination) -> Streams:
        """Connect a flow to where it wants; `RefusedError` and `UnreachableError` as `connect` has them."""
        return await self._follow(
            flow, connect(wanted, lambda: self._policy, self._ways.wall, self._resolver)
        )

    async def open_redirected(self, flow: Flow, address: Address, port: int) -> Streams:
        """Connect a flow to an address that it wanted without asking us; raises as `open_outward`."""
        names = self._name_server.names_of(address)
        # One address may have been given for several names; the one that is allowed is the one meant.
        name = next((name for name in names if self._policy.allows_name(name)), next(iter(names), None))
        return await self._follow(flow, self._connect_redirected(name, address, port))

    async def _connect_redirected(self, name: str | None, address: Address, port: int) -> Outward:
        if name is not None and self._policy.headers_for(name):
            raise RefusedError(f"network.rules set headers for {name}, which takes a request to the proxy")
        return await connect_checked(name, [address], port, lambda: self._policy, self._ways.wall)

    async def _follow(self, flow: Flow, connecting: Coroutine[Any, Any, Outward]) -> Streams:
        try:
            outward = await connecting
        except RefusedError as error:
            self.counters.refused += 1
            self.counters.refusals.append(str(error))
            log.info("egress_refused", sandbox=self._sandbox_id, reason=str(error))
            raise
        flow.name, flow.address = outward.name, outward.address
        flow.outer = Streams(*await asyncio.open_connection(sock=outward.connection))
        return flow.outer

    def _filled(self, header: str, value: str) -> str:
        try:
            whole = filled(value, lambda name: self._ways.secret(self._team, name))
        except LookupError as error:
            raise RefusedError(f"network.rules set the header {header}, but {error.args[0]}") from error
        if not HEADER_VALUE.fullmatch(whole):
            raise RefusedError(f"network.rules set the header {header} to a secret that is no header's value")
        return whole

    async def _accept(self, listener: socket.socket, serve: Serve) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("egress_not_accepted", sandbox=self._sandbox_id, error=str(error))
                await asyncio.sleep(1)
                continue
            if self._is_full():
                self.counters.turned_away += 1
                connection.close()
                # Whoever opens thousands gets no more of our time than this.
                await asyncio.sleep(REFUSAL_PAUSE_SECONDS)
                continue
            await self._take(connection, serve)

    def _is_full(self) -> bool:
        return len(self._flows) >= CONNECTIONS_OF_A_SANDBOX or self._ways.open >= CONNECTIONS_OF_ALL

    async def _take(self, connection: socket.socket, serve: Serve) -> None:
        wanted = original_destination(connection)
        try:
            flow = Flow(Streams(*await asyncio.open_connection(sock=connection)), wanted)
        except OSError:
            connection.close()
            return
        self.counters.connections += 1
        self._ways.open += 1
        task = asyncio.ensure_future(self._serve(flow, serve))
        self._flows[flow] = task
        task.add_done_callback(lambda _: self._done(flow))

    async def _serve(self, flow: Flow, serve: Serve) -> None:
        try:
            with suppress(OSError, EOFError):
                await serve(self, flow)
        except Exception:
            log.exception("egress_failed", sandbox=self._sandbox_id)
        finally:
            for streams in (flow.outer, flow.inner):
                if streams is not None:
                    streams.writer.close()

    def _done(self, flow: Flow) -> None:
        del self._flows[flow]
        self._ways.open -= 1
        self.counters.sent += flow.sent
        self.counters.received += flow.received

    async def _sweep(self) -> None:
        """Break off what has been silent for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for flow in list(self._flows):
                if loop.time() - flow.moved_at > IDLE_SECONDS:
                    flow.abort()
