"""Executions outlive the process of ours that reads them: killed, stopped, or all of them at once."""

import asyncio
import time

from tests.faults.executing import clients_of, hurry, watched_executions
from tests.faults.stack import Stack
from tests.faults.writers import Writer
from tests.fixtures.product import Project

TAKEN_OVER_SECONDS = 15.0
# Long enough for any takeover; `hurry` ends them once it was seen.
LONG = Writer(seed=1, pieces=300, pause=0.2, exit_code=7)
# Ends while nobody reads it.
SHORT = Writer(seed=2, pieces=20, pause=0.15, exit_code=42)


async def test_a_killed_web_processs_executions_go_on_within_15_seconds(
    stack: Stack, project: Project
) -> None:
    survivors = clients_of(project, 1)
    async with watched_executions(project.client(web=0), survivors, [LONG, SHORT]) as watched:
        await asyncio.gather(*(one.more(1000) for one in watched))
        await stack.webs[0].part.kill()
        killed = time.monotonic()
        for one in watched:
            # What was stored before is read at once; what comes after that is the new owner's.
            if one.writer is LONG:
                while time.monotonic() - killed < 1:
                    await one.more()
        await asyncio.gather(*(one.more() for one in watched if one.writer is LONG))
        assert time.monotonic() - killed < TAKEN_OVER_SECONDS
        await hurry(survivors, watched)
        for one in watched:
            await one.require_whole(survivors)


async def test_executions_go_on_after_everything_was_killed_and_started_again(
    stack: Stack, project: Project
) -> None:
    anyone = clients_of(project, 0, 1)
    async with watched_executions(project.client(web=0), anyone, [LONG, SHORT]) as watched:
        await asyncio.gather(*(one.more(1000) for one in watched))
        parts = [stack.postgresql, stack.valkey, *(process.part for process in stack.processes)]
        await asyncio.gather(*(part.kill() for part in parts), stack.runtime.kill())
        await asyncio.sleep(SHORT.seconds)
        await stack.heal()
        await asyncio.gather(*(one.more() for one in watched if one.writer is LONG))
        await hurry(anyone, watched)
        for one in watched:
            await one.require_whole(anyone)


async def test_an_owner_that_stood_still_writes_nothing_once_another_has_taken_over(
    stack: Stack, project: Project
) -> None:
    others = clients_of(project, 1)
    async with watched_executions(project.client(web=0), others, [LONG]) as watched:
        await asyncio.gather(*(one.more(1000) for one in watched))
        with stack.webs[0].part.standing_still():
            stopped = time.monotonic()
            for one in watched:
                while time.monotonic() - stopped < 1:
                    await one.more()
            await asyncio.gather(*(one.more() for one in watched))
            assert time.monotonic() - stopped < TAKEN_OVER_SECONDS
        # It has what came before it stood still in its hands, and the same stream is still open to it.
        await asyncio.gather(*(one.more(2000) for one in watched))
        await hurry(others, watched)
        for one in watched:
            await one.require_whole(others)
        assert "Traceback" not in stack.webs[0].part.said.text


async def test_the_servers_are_killed_one_after_another_and_no_byte_is_lost(
    stack: Stack, project: Project
) -> None:
    anyone = clients_of(project, 0, 1)
    async with watched_executions(project.client(web=0), anyone, [LONG]) as watched:
        for server in (stack.postgresql, stack.valkey):
            await asyncio.gather(*(one.more(1000) for one in watched))
            await server.restart()
        await asyncio.gather(*(one.more(1000) for one in watched))
        await stack.runtime.kill()
        await stack.runtime.start()
        await asyncio.gather(*(one.more(1000) for one in watched))
        await hurry(anyone, watched)
        for one in watched:
            await one.require_whole(anyone)
