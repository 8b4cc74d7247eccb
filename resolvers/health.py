"""What `Query.health` does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

import structlog

from resolvers.context import Info

_log = structlog.get_logger()
_CHECK_SECONDS = 5.0


class HealthStatus(Enum):
    """Whether a part works."""

    OK = "OK"
    FAILING = "FAILING"


@dataclass(frozen=True, slots=True)
class ComponentView:
    """What `ComponentHealth` shows."""

    name: str
    status: HealthStatus
    detail: str


@dataclass(frozen=True, slots=True)
class HealthView:
    """What `Health` shows."""

    database: ComponentView
    queue: ComponentView
    workers: ComponentView
    providers: list[ComponentView]

    @property
    def status(self) -> HealthStatus:
        """The worst of all parts."""
        parts = [self.database, self.queue, self.workers, *self.providers]
        return (
            HealthStatus.OK if all(part.status is HealthStatus.OK for part in parts) else HealthStatus.FAILING
        )


async def health(info: Info) -> HealthView:
    """`Query.health`: asks every part, each within a bound."""
    services = info.context.services

    async def database() -> str:
        await services.database.ping()
        return "PostgreSQL answers."

    async def queue() -> str:
        await services.signals.ping()
        return "Valkey answers."

    async def workers() -> str:
        count = await services.heartbeats.count()
        if count == 0:
            raise LookupError("No worker runs: timers and background work stand still. Start one.")
        return f"{count} at work."

    async def provider(name: str) -> str:
        healthy, detail = await services.providers.get(name).healthy()
        if not healthy:
            raise LookupError(detail)
        return detail

    names = [each.name for each in services.providers]
    database_part, queue_part, workers_part, *provider_parts = await asyncio.gather(
        _check("database", database),
        _check("queue", queue),
        _check("workers", workers),
        *(_check(name, partial(provider, name)) for name in names),
    )
    return HealthView(database_part, queue_part, workers_part, provider_parts)


async def _check(name: str, check: Callable[[], Awaitable[str]]) -> ComponentView:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return ComponentView(name, HealthStatus.OK, await check())
    except LookupError as error:
        return ComponentView(name, HealthStatus.FAILING, str(error))
    except Exception:
        _log.warning("health.check_failed", component=name, exc_info=True)
        return ComponentView(name, HealthStatus.FAILING, "It does not answer; the log says more.")
