"""`commandcenter up`: everything on one machine, by one command."""

import asyncio
import resource
import time
from collections.abc import Mapping

from commandcenter.access.bootstrap import bootstrap
from commandcenter.access.sign_in import administrator_key, create_sign_in_link
from commandcenter.database import Database
from commandcenter.errors import DomainError
from commandcenter.secrets.errors import SecretsKeyError
from commandcenter.secrets.key_source import open_keyring
from commandcenter.settings import Settings
from processes.errors import StartError
from processes.home import Home, locked, open_home
from processes.migrate import migrate
from processes.plans import runtime_plan, web_plan, worker_plan
from processes.ports import require_free
from processes.screen import Screen
from processes.servers import embedded_postgresql, embedded_valkey, require_database, require_redis
from processes.stop_signals import stop_signals
from processes.supervision import Supervisor

_MOST_OPEN_FILES = 65_536


async def up(settings: Settings) -> int:
    """Start everything, keep it running until a signal asks to stop, stop it; returns the exit code."""
    screen = Screen()
    try:
        home = open_home(settings.home_folder)
        with locked(home):
            return await _run(settings, home, screen)
    except StartError as error:
        screen.failed(str(error))
        return 1


async def _run(settings: Settings, home: Home, screen: Screen) -> int:
    supervisor = Supervisor(logs=home.logs, records=home.running, say=screen.happened)
    with stop_signals(again=supervisor.hurry) as asked:
        starting = asyncio.create_task(_start(settings, home, supervisor, screen))
        stopping = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stopping
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.wait([starting])
            await _stop(supervisor, screen)
    return 0


async def _start(settings: Settings, home: Home, supervisor: Supervisor, screen: Screen) -> None:
    """Start everything. Children stop in the opposite order: whoever uses another stops before it."""
    _allow_many_open_files()
    screen.heading(home.folder)
    await supervisor.end_leftovers()
    settings = settings.model_copy(update={"port": require_free(settings.host, settings.port)})
    servers = await _start_servers(settings, home, supervisor, screen)
    runtime, sign_in_token = await asyncio.gather(
        _start_runtime(settings, home, supervisor, screen),
        _prepare_database(settings, home, screen, servers["DATABASE_URL"]),
    )
    environment = {
        "COMMANDCENTER_HOME": str(home.folder),
        "COMMANDCENTER_HOST": settings.host,
        "COMMANDCENTER_PORT": str(settings.port),
        **servers,
        **runtime,
    }
    plans = worker_plan(home, environment), web_plan(settings, environment)
    for plan, seconds in zip(plans, await asyncio.gather(*map(supervisor.start, plans)), strict=True):
        screen.step(plan.name, "ready", seconds)
    screen.ready(
        address=settings.address,
        sign_in_link=f"{settings.address}/sign-in?token={sign_in_token}",
        admin_key=home.admin_key,
        logs=home.logs,
    )


async def _start_servers(
    settings: Settings, home: Home, supervisor: Supervisor, screen: Screen
) -> Mapping[str, str]:
    """PostgreSQL and Valkey: embedded ones where none are given."""
    if settings.redis_url:
        await require_redis(settings.redis_url)
    return {
        "DATABASE_URL": settings.database_url or await embedded_postgresql(home, supervisor, screen),
        "REDIS_URL": settings.redis_url or await embedded_valkey(home, supervisor, screen),
    }


async def _start_runtime(
    settings: Settings, home: Home, supervisor: Supervisor, screen: Screen
) -> Mapping[str, str]:
    """The embedded runtime, unless one is given."""
    if settings.runtime_url:
        return {}
    plan, found_by = runtime_plan(home)
    screen.step("runtime", "ready", await supervisor.start(plan))
    return found_by


async def _prepare_database(settings: Settings, home: Home, screen: Screen, database_url: str) -> str:
    """Bring the database up to date, make the first key where there is none, and a sign-in token."""
    started = time.monotonic()
    database = Database(database_url, pool_size=2)
    try:
        await require_database(database, settings)
        await asyncio.to_thread(migrate, database_url)
        await bootstrap(database, home.admin_key)
        await open_keyring(database, settings)
        token = await create_sign_in_link(database, await administrator_key(database))
    except (DomainError, SecretsKeyError) as error:
        raise StartError(str(error)) from error
    finally:
        await database.close()
    screen.step("database", "ready", time.monotonic() - started)
    return token


async def _stop(supervisor: Supervisor, screen: Screen) -> None:
    if not supervisor.has_children:
        return
    started = time.monotonic()
    screen.happened("stopping; Ctrl-C again does not wait for anything to finish")
    await supervisor.stop()
    screen.happened(f"stopped in {time.monotonic() - started:.1f} s")


def _allow_many_open_files() -> None:
    """Each sandbox and each subscriber holds some open; what a shell allows by default is soon used up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
