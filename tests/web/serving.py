"""A real server for tests: uvicorn as the web process configures it, on a port of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import orjson
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from commandcenter.access.scope import Role, Scope
from commandcenter.database import Database
from commandcenter.keys.actions import create_key, revoke_key
from commandcenter.rates.allowances import RateLimits
from commandcenter.rates.counters import LocalCounters
from commandcenter.settings import Settings
from tests.web.small_schema import OperationContext, small_schema
from web.application import build_application
from web.assembly import open_parts
from web.graphql.limits import Limits
from web.graphql.messages import SUBPROTOCOL
from web.graphql.service import GraphQLService
from web.live_credentials import LiveCredentials
from web.parts import Parts
from web.server import server_configuration

RECHECK_SECONDS = 0.2


@dataclass(frozen=True)
class Site:
    """A running server, and a key for it."""

    port: int
    key: str
    project_id: UUID
    database: Database
    failing_checks: set[str] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def client(self, **headers: str) -> httpx.AsyncClient:
        """An HTTP client without credentials."""
        return httpx.AsyncClient(base_url=self.address, headers=headers)

    def socket(self, *, subprotocols: Sequence[str] = (SUBPROTOCOL,), **options: Any) -> connect:
        """A WebSocket to the API that has not said anything yet."""
        return connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=None,
            compression=None,
            proxy=None,
            **options,
        )

    async def new_key(self, role: Role = Role.OPERATOR) -> tuple[UUID, str]:
        """Another key of the project: its id and its secret."""
        async with self.database.transaction(self.project_id) as session:
            key, secret = await create_key(session, self._scope, name="test", role=role)
        return key.id, secret

    async def revoke(self, key_id: UUID) -> None:
        """End a key for good."""
        async with self.database.transaction(self.project_id) as session:
            await revoke_key(session, self._scope, key_id)

    @property
    def _scope(self) -> Scope:
        return Scope(project_id=self.project_id, role=Role.ADMINISTRATOR, actor="test")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to pytest."""
        yield


@asynccontextmanager
async def serving(
    database: Database,
    project_id: UUID,
    key: str,
    *,
    limits: Limits | None = None,
    settings: Settings | None = None,
    server_options: dict[str, Any] | None = None,
    **service_options: Any,
) -> AsyncIterator[Site]:
    """A server with the small schema, for the length of the block."""
    live_credentials = LiveCredentials(database)
    failing_checks: set[str] = set()
    service = GraphQLService(
        schema=small_schema(limits or Limits()),
        database=database,
        make_context=OperationContext,
        live_credentials=live_credentials,
        rates=RateLimits(settings or Settings(), LocalCounters()),
        **service_options,
    )

    async def check() -> None:
        if "database" in failing_checks:
            raise ConnectionError("password=hunter2")
        await database.ping()

    async def metrics() -> bytes:
        return b"measured 1\n"

    @asynccontextmanager
    async def parts() -> AsyncIterator[Parts]:
        rechecks = asyncio.create_task(live_credentials.run(lambda _: asyncio.sleep(RECHECK_SECONDS)))
        yield Parts(database, service, {"database": check}, metrics)
        rechecks.cancel()

    async with served(lambda: build_application(parts), **server_options or {}) as port:
        yield Site(port, key, project_id, database, failing_checks)


@asynccontextmanager
async def serving_product(
    settings: Settings, database: Database, project_id: UUID, key: str
) -> AsyncIterator[Site]:
    """A server with the product's own schema and services, for the length of the block."""
    async with served(lambda: build_application(lambda: open_parts(settings))) as port:
        yield Site(port, key, project_id, database)


@asynccontextmanager
async def served(application: Callable[[], Starlette], **options: Any) -> AsyncIterator[int]:
    """The port of a running server, configured as the web process configures it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(server_configuration(application, Settings(), loop="none", **options))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(10):
                while not server.started:
                    if task.done():
                        await task
                    await asyncio.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, 15)


async def greet(connection: ClientConnection, key: str) -> None:
    """Initialise a socket with a key."""
    payload = {"Authorization": f"Bearer {key}"}
    await connection.send(orjson.dumps({"type": "connection_init", "payload": payload}).decode())
    assert orjson.loads(await connection.recv()) == {"type": "connection_ack"}
