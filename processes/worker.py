"""`commandcenter worker`: an arq worker with the jobs and schedules of `workers.settings`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop
from arq.worker import create_worker

from commandcenter.settings import Settings
from processes.readiness import announce
from workers.settings import worker_settings

StartUp = Callable[[dict[Any, Any]], Awaitable[None]]


def serve_worker(settings: Settings) -> None:
    """Work until a signal asks to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    options = worker_settings(settings)
    worker = create_worker(options, on_startup=_then_say_ready(options["on_startup"]))
    try:
        # arq stops by cancelling itself.
        with suppress(asyncio.CancelledError):
            await worker.async_run()
    finally:
        await worker.close()


def _then_say_ready(start_up: StartUp) -> StartUp:
    async def started(context: dict[Any, Any]) -> None:
        await start_up(context)
        announce()

    return started
