"""Work that comes to its end whoever goes away: that nobody waits for, and that none may break off."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("runtime.background")

_running: set[asyncio.Task[Any]] = set()


def add(work: Coroutine[Any, Any, Any]) -> None:
    """Run it as a task of its own, held until it is done, and its failure logged."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_done)


async def to_its_end(function: Callable[..., None], *given: Any) -> None:
    """Run what blocks in a thread; whoever is cancelled meanwhile goes away when it has ended, not before."""
    working = asyncio.ensure_future(asyncio.to_thread(function, *given))
    try:
        await asyncio.shield(working)
    finally:
        await asyncio.wait([working])


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("background_work_failed", exc_info=task.exception())
