"""The whole product for tests that do damage: every process by itself, every connection through a link.

Two web processes and two workers on one PostgreSQL, one Valkey and one runtime. The provider `local` is the
runtime; the provider `e2b` is the same runtime as another team's, behind a layer that poses as E2B's cloud.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from commandcenter.database import Database
from commandcenter.settings import Settings
from migrations.upgrade import upgrade
from processes.embedded.postgresql import EmbeddedPostgresql
from processes.embedded.valkey import EmbeddedValkey
from processes.home import Home, open_home
from processes.plans import web_plan, worker_plan
from processes.ports import require_free
from tests.faults.cloud import Cloud, cloud_before
from tests.faults.links import HOST, Link, Target, linked
from tests.faults.parts import Part
from tests.fixtures.product import Product, WebProcess, first_administrator, http_client
from tests.fixtures.runtime import RuntimeProcess

WEB_PROCESSES = 2
WORKERS = 2
CLOUD_KEY = "e2b_c10d"

ProviderName = Literal["local", "e2b"]
PROVIDERS: tuple[ProviderName, ...] = ("local", "e2b")


@dataclass(frozen=True)
class Process:
    """A web process or worker of ours, and its ways to the servers; `door` leads clients to a web process."""

    part: Part
    database: Link
    queue: Link
    runtime: Link
    door: Link | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(filter(None, (self.database, self.queue, self.runtime, self.door)))


@dataclass(frozen=True)
class Stack:
    """The running installation. `product` is what clients see of it: its addresses are the links'."""

    product: Product
    postgresql: Part
    valkey: Part
    runtime: RuntimeProcess
    cloud: Cloud
    webs: Sequence[Process]
    workers: Sequence[Process]

    @property
    def processes(self) -> tuple[Process, ...]:
        """Those of ours."""
        return (*self.webs, *self.workers)

    async def heal(self) -> None:
        """Bring everything back to where it is well, and wait until it is ready."""
        self.cloud.heal()
        for process in self.processes:
            for link in process.links:
                link.heal()
        await asyncio.gather(self.postgresql.heal(), self.valkey.heal(), self._heal_runtime())
        await asyncio.gather(*(process.part.heal() for process in self.processes))

    async def _heal_runtime(self) -> None:
        if not (self.runtime.running and (self.runtime.state / "address").exists()):
            await self.runtime.kill()
            await self.runtime.start()


class _Servers:
    """What our own processes are connected to."""

    def __init__(self, home: Home, runtime: RuntimeProcess, cloud: Cloud) -> None:
        self.home = home
        self.runtime = runtime
        self.cloud = cloud
        # A killed server loses what it had not handed to the kernel, never what it had: disks need no wait.
        self.postgresql = EmbeddedPostgresql(home, options={"fsync": "off"})
        self.valkey = EmbeddedValkey(home)

    def runtime_address(self) -> tuple[str, int]:
        """Where the runtime listens now; raises `OSError` while it is away."""
        port = urlsplit(self.runtime.url).port
        assert port is not None
        return HOST, port

    def environment(self, database: Link, queue: Link, runtime: Link) -> Mapping[str, str]:
        """The settings of a process that is connected by these links."""
        url = make_url(self.postgresql.url()).set(host=HOST, port=database.port, query={})
        return {
            "COMMANDCENTER_HOME": str(self.home.folder),
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "REDIS_URL": f"redis://{HOST}:{queue.port}/0",
            "COMMANDCENTER_RUNTIME_URL": runtime.url,
            "COMMANDCENTER_RUNTIME_API_KEY": RuntimeProcess.api_key,
            "E2B_API_KEY": CLOUD_KEY,
            "E2B_API_URL": self.cloud.url,
            "E2B_SANDBOX_URL": self.cloud.url,
        }


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncIterator[Stack]:
    """The product below `folder`, a short path that other users can pass through, until the block ends."""
    state = folder / "runtime" / "state"
    state.mkdir(parents=True)
    runtime = RuntimeProcess(state, api_keys=f"cloud:{CLOUD_KEY}")
    async with AsyncExitStack() as stack:
        home = open_home(folder / "home")
        cloud = await stack.enter_async_context(cloud_before(lambda: servers.runtime_address()))
        servers = _Servers(home, runtime, cloud)
        stack.push_async_callback(runtime.stop)
        postgresql, valkey, _ = await asyncio.gather(
            _running(stack, Part(servers.postgresql.plan())),
            _running(stack, Part(servers.valkey.plan())),
            runtime.start(),
        )
        await servers.postgresql.create_application_database()
        await asyncio.to_thread(upgrade, servers.postgresql.url())
        database = Database(servers.postgresql.url(), pool_size=5)
        stack.push_async_callback(database.close)
        key, project_id = await first_administrator(database, home)
        webs = [await _web_process(stack, servers) for _ in range(WEB_PROCESSES)]
        workers = [await _worker(stack, servers, number) for number in range(WORKERS)]
        await asyncio.gather(*(_running(stack, process.part) for process in (*webs, *workers)))
        product = Product(
            database=database,
            database_url=servers.postgresql.url(),
            redis_url=servers.valkey.url,
            runtime=runtime,
            home=home,
            environment={},
            webs=tuple(WebProcess(_door(web).url, web.part.child) for web in webs),
            worker=workers[0].part.child,
            administrator_key=key,
            default_project_id=project_id,
            http=await stack.enter_async_context(http_client()),
        )
        yield Stack(product, postgresql, valkey, runtime, cloud, webs, workers)


def _door(web: Process) -> Link:
    assert web.door is not None
    return web.door


async def _running(stack: AsyncExitStack, part: Part) -> Part:
    stack.push_async_callback(part.end)
    await part.start()
    return part


async def _links(stack: AsyncExitStack, servers: _Servers) -> tuple[Link, Link, Link]:
    targets: tuple[Callable[[], Target], ...] = (
        lambda: servers.home.sockets / ".s.PGSQL.5432",
        lambda: servers.home.sockets / "valkey.sock",
        servers.runtime_address,
    )
    database, queue, runtime = [await stack.enter_async_context(linked(target)) for target in targets]
    return database, queue, runtime


async def _web_process(stack: AsyncExitStack, servers: _Servers) -> Process:
    database, queue, runtime = await _links(stack, servers)
    settings = Settings(host=HOST, port=require_free(HOST, 0))
    door = await stack.enter_async_context(linked(lambda: (HOST, settings.port)))
    own = {"COMMANDCENTER_HOST": HOST, "COMMANDCENTER_PORT": str(settings.port)}
    plan = web_plan(settings, {**servers.environment(database, queue, runtime), **own})
    return Process(Part(plan), database, queue, runtime, door)


async def _worker(stack: AsyncExitStack, servers: _Servers, number: int) -> Process:
    database, queue, runtime = await _links(stack, servers)
    # Each says that it is ready in a folder of its own.
    home = open_home(servers.home.folder / f"worker-{number}")
    plan = worker_plan(home, servers.environment(database, queue, runtime))
    return Process(Part(plan), database, queue, runtime)
