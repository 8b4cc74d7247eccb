"""`commandcenter worker`: an arq worker with the jobs of `workers.settings`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop
from arq.worker import create_worker
from workers.settings import WorkerSettings

from processes.readiness import announce

StartUp = Callable[[dict[Any, Any]], Awaitable[None]]


def serve_worker() -> None:
    """Work until a signal asks to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work())


async def _work() -> None:
    start_up = getattr(WorkerSettings, "on_startup", None)
    worker = create_worker(WorkerSettings, on_startup=_then_say_ready(start_up))
    try:
        # arq stops by cancelling itself.
        with suppress(asyncio.CancelledError):
            await worker.async_run()
    finally:
        await worker.close()


def _then_say_ready(start_up: StartUp | None) -> StartUp:
    async def started(context: dict[Any, Any]) -> None:
        if start_up:
            await start_up(context)
        announce()

    return started
