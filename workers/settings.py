"""What arq runs, and within which bounds."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from arq.connections import RedisSettings
from arq.cron import cron

from commandcenter.executions.keeping import executions_kept
from commandcenter.heartbeats import beating
from commandcenter.sandboxes.create_leases import creations_kept
from commandcenter.services import open_services
from commandcenter.settings import Settings, get_settings
from workers.upkeep import (
    ROUND_SECONDS,
    SECONDS_BETWEEN_RECONCILIATIONS,
    SECONDS_BETWEEN_ROUNDS,
    forget_secrets,
    keep_sandboxes_up,
    reconcile_providers,
    settle_all_snapshots,
)

if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

_SERVICES_STACK = "services_stack"
_MOST_JOBS = 50
"""Jobs that wait for a slow provider must leave room for the others; each is small."""


async def open_worker(context: dict[Any, Any]) -> None:
    """Give every job what domain functions work with, as `services` in its context, and its memory."""
    stack = context[_SERVICES_STACK] = AsyncExitStack()
    services = context["services"] = await stack.enter_async_context(open_services(get_settings()))
    await stack.enter_async_context(executions_kept(services))
    await stack.enter_async_context(creations_kept(services))
    await stack.enter_async_context(beating(services.heartbeats, services.process_id))


async def close_worker(context: dict[Any, Any]) -> None:
    """Give it back."""
    if stack := context.get(_SERVICES_STACK):
        await stack.aclose()


def worker_settings(settings: Settings) -> dict[str, Any]:
    """What a worker is made with. arq itself would end jobs after five minutes and try them five times."""
    return {
        "functions": (),
        "cron_jobs": (
            cron(
                cast("WorkerCoroutine", keep_sandboxes_up),
                second=set(range(0, 60, SECONDS_BETWEEN_ROUNDS)),
                timeout=ROUND_SECONDS,
                run_at_startup=True,
            ),
            cron(
                cast("WorkerCoroutine", settle_all_snapshots),
                second=set(range(1, 60, SECONDS_BETWEEN_ROUNDS)),
                timeout=ROUND_SECONDS,
            ),
            cron(
                cast("WorkerCoroutine", reconcile_providers),
                second=set(range(1, 60, SECONDS_BETWEEN_RECONCILIATIONS)),
                timeout=ROUND_SECONDS,
            ),
            cron(cast("WorkerCoroutine", forget_secrets), second={31}, timeout=ROUND_SECONDS),
        ),
        "on_startup": open_worker,
        "on_shutdown": close_worker,
        "redis_settings": RedisSettings.from_dsn(settings.redis_url or ""),
        # Each poll costs an idle worker processor time; what is queued here may wait this long.
        "poll_delay": 0.25,
        "max_jobs": _MOST_JOBS,
        "max_tries": 1,
        "retry_jobs": False,
        "allow_abort_jobs": True,
    }
