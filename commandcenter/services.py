"""What domain functions work with: one process's database, signals, providers and recorder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from commandcenter.background import BackgroundTasks
from commandcenter.database import Database
from commandcenter.executions.ownership import OwnedExecutions
from commandcenter.executions.safekeeping import RecordedEnds
from commandcenter.heartbeats import Heartbeats
from commandcenter.identifiers import new_id
from commandcenter.instance import load_instance
from commandcenter.logs.recorder import LogRecorder
from commandcenter.measurements import Measurements
from commandcenter.providers.accounts import accounts_from
from commandcenter.providers.registry import Providers
from commandcenter.rates.allowances import RateLimits
from commandcenter.rates.counters import SharedCounters
from commandcenter.records import Record
from commandcenter.sandboxes.create_ownership import OwnedCreations
from commandcenter.secrets.key_source import open_keyring
from commandcenter.secrets.keyring import Keyring
from commandcenter.secrets.masks import SecretMasks
from commandcenter.settings import Settings
from commandcenter.signals import Signals


class MissingSettingError(Exception):
    """A setting that this process cannot do without is not given."""


@dataclass(frozen=True, slots=True)
class Services:
    """One process's means.

    `instance_id` marks this installation at the providers; `process_id` marks this process as the owner of
    the executions that it reads and the sandboxes that it makes; `signing_key` signs short-lived links;
    `keyring` encrypts secrets, and `secret_masks` hides them.
    """

    settings: Settings
    database: Database
    signals: Signals
    measurements: Measurements
    heartbeats: Heartbeats
    rates: RateLimits
    providers: Providers
    recorder: LogRecorder
    background: BackgroundTasks
    owned_executions: OwnedExecutions
    owned_creations: OwnedCreations
    recorded_ends: RecordedEnds
    keyring: Keyring
    secret_masks: SecretMasks
    instance_id: UUID
    signing_key: bytes
    process_id: UUID


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect to everything, for as long as the block runs; stop in the opposite order."""
    if settings.database_url is None or settings.redis_url is None:
        raise MissingSettingError(
            "DATABASE_URL and REDIS_URL are not set. Set both, or run `commandcenter up`, which brings "
            "its own."
        )
    # Whatever a process works with, its records must all be known: they refer to each other.
    Record.registry.configure()
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url, pool_size=settings.database_pool_size)
        stack.push_async_callback(database.close)
        await database.require_safe_role()
        async with database.system_transaction() as session:
            instance = await load_instance(session)
        keyring = await open_keyring(database, settings)
        process_id = new_id()
        signals = await stack.enter_async_context(Signals(settings.redis_url))
        measurements = Measurements(settings.redis_url)
        measurements.start()
        stack.push_async_callback(measurements.close)
        heartbeats = Heartbeats(settings.redis_url)
        stack.push_async_callback(heartbeats.close)
        counters = SharedCounters(settings.redis_url)
        counters.start()
        stack.push_async_callback(counters.close)
        providers = Providers(accounts_from(settings))
        recorder = await stack.enter_async_context(LogRecorder(database, signals, process_id))
        background = BackgroundTasks()
        stack.push_async_callback(background.stop)
        yield Services(
            settings=settings,
            database=database,
            signals=signals,
            measurements=measurements,
            heartbeats=heartbeats,
            rates=RateLimits(settings, counters),
            providers=providers,
            recorder=recorder,
            background=background,
            owned_executions=OwnedExecutions(),
            owned_creations=OwnedCreations(),
            recorded_ends=RecordedEnds(background),
            keyring=keyring,
            secret_masks=SecretMasks(database, keyring),
            instance_id=instance.id,
            signing_key=instance.signing_key,
            process_id=process_id,
        )
