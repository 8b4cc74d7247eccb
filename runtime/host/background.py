"""Work that nobody waits for: held until it is done, and its failure logged."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("runtime.background")

_running: set[asyncio.Task[Any]] = set()


def add(work: Coroutine[Any, Any, Any]) -> None:
    """Run it as a task of its own."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_done)


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("background_work_failed", exc_info=task.exception())
