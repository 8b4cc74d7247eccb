"""The start command of a template: started in a sandbox, and awaited until its ready command succeeds."""

import asyncio
import time
from dataclasses import replace

from runtime.host.accounts import UnknownUserError
from runtime.host.commands import Command, OnLine, follow, run, start
from runtime.host.errors import HostError, SupervisorError
from runtime.host.process import Process
from runtime.host.sandbox import Sandbox
from runtime.host.start import Start

FIRST_INTERVAL = 0.05
LONGEST_INTERVAL = 1.0
READY_WITHOUT_COMMAND = "sleep 20"


class NotReadyError(HostError):
    """A template's start command failed, or was not ready in time."""


async def bring_up(sandbox: Sandbox, wanted: Start, on_line: OnLine, seconds: float) -> None:
    """Start what a template starts and wait until it is ready; raises `NotReadyError`.

    The start command lives on afterwards, and nobody has to take its output. Variables that the sandbox was
    made with come before the template's.
    """
    variables = wanted.context.environment | sandbox.record.environment
    wanted = replace(wanted, context=replace(wanted.context, environment=variables))
    deadline = time.monotonic() + seconds
    starting = None
    if wanted.command:
        process = await _start(sandbox, wanted)
        starting = asyncio.ensure_future(_until_failure(process, wanted, on_line))
    ready = wanted.ready or (READY_WITHOUT_COMMAND if wanted.command else "")
    waiting = asyncio.ensure_future(_until_ready(sandbox, wanted, ready, on_line, deadline))
    tasks = [task for task in (starting, waiting) if task is not None]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await waiting
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _start(sandbox: Sandbox, wanted: Start) -> Process:
    command = Command.shell(wanted.command, wanted.context)
    try:
        return await start(sandbox, command, keeps_output=False)
    except (SupervisorError, UnknownUserError) as error:
        raise NotReadyError(f"start command failed: {error}: {wanted.command}") from error


async def _until_failure(process: Process, wanted: Start, on_line: OnLine) -> None:
    """Until the start command has ended well; most never end."""
    outcome = await follow(process, on_line)
    if not outcome.succeeded:
        raise NotReadyError(f"start command failed: '{wanted.command}': {outcome.explain()}")


async def _until_ready(sandbox: Sandbox, wanted: Start, ready: str, on_line: OnLine, deadline: float) -> None:
    interval = FIRST_INTERVAL
    began = time.monotonic()
    while ready:
        left = deadline - time.monotonic()
        if left > 0:
            outcome = await run(sandbox, Command.shell(ready, wanted.context, seconds=left), on_line)
            if outcome.succeeded:
                return
        if deadline - time.monotonic() <= interval:
            raise NotReadyError(
                f"ready command failed: '{ready}' did not succeed within {time.monotonic() - began:.0f} s"
            )
        await asyncio.sleep(interval)
        interval = min(2 * interval, LONGEST_INTERVAL)
