"""Waiting for an execution's end, whichever process reads it."""

import asyncio

from commandcenter.access.scope import Scope
from commandcenter.executions.queries import get_execution
from commandcenter.executions.records import Execution
from commandcenter.services import Services
from commandcenter.signals import execution_topic

Reading = asyncio.Task[Execution | None]
"""This process's own task that reads an execution to its end; its result is that of `run_execution`."""

_LOOK_AGAIN_SECONDS = 1.0


async def wait_until_ended(
    services: Services, scope: Scope, execution: Execution, reading: Reading | None = None
) -> Execution:
    """The execution once it has ended. Bounded by the execution's own timeout and its sandbox's life.

    Where this process reads it, `reading` tells the end without a look into the database.
    """
    if reading is not None:
        await asyncio.wait([reading])
        if not reading.cancelled() and reading.exception() is None and (ended := reading.result()):
            return ended
    with services.signals.listen(execution_topic(execution.sandbox_id)) as listener:
        while True:
            async with services.database.transaction(scope.project_id) as session:
                current = await get_execution(session, scope, execution.id)
            if current.has_ended:
                return current
            await listener.wait_for(str(execution.id), _LOOK_AGAIN_SECONDS)
