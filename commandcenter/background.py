"""Work that goes on after its request was answered, kept track of so that a process can stop in order."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from commandcenter.errors import DomainError

_log = structlog.get_logger()

Result = TypeVar("Result")

STOP_GRACE_SECONDS = 2.0


class BackgroundTasks:
    """The tasks of one process that outlive the request that began them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Start `work`; how it failed is logged, a domain error as what it is: an answer."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Wait for the tasks to end by themselves, then cancel those that have not."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace_seconds)
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, DomainError):
            _log.info("background.refused", task=task.get_name(), code=error.code, error=error.message)
        elif error is not None:
            _log.error("background.failed", task=task.get_name(), exc_info=error)
