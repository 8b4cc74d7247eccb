"""Subscriptions never lie, whatever happens between a reader and the web processes."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random

from tests.faults.executing import clients_of, resilient_sandbox
from tests.faults.following import Follower
from tests.faults.links import Link
from tests.faults.stack import PROVIDERS, Stack
from tests.faults.writers import Writer
from tests.fixtures.product import Project

LOUD = Writer(seed=3, pieces=300, pause=0.015, scale=128, exit_code=3)
READERS_OF_EACH = 3
MOST_STALL_SECONDS = 0.5


async def test_what_readers_put_together_is_exact_though_their_connections_break_all_the_time(
    stack: Stack, project: Project, chance: Random
) -> None:
    doors = [web.door for web in stack.webs if web.door is not None]
    both = clients_of(project, 0, 1)
    async with AsyncExitStack() as open_things:
        sandboxes = [await open_things.enter_async_context(resilient_sandbox(both, one)) for one in PROVIDERS]
        executions = [await both[0].start(sandbox_id, LOUD.command) for sandbox_id in sandboxes]
        followers = [Follower(execution) for execution in executions for _ in range(READERS_OF_EACH)]
        damaging = asyncio.create_task(_damage(doors, chance))
        open_things.callback(damaging.cancel)
        await asyncio.gather(
            *(follower.read(both[number % 2 :] + both) for number, follower in enumerate(followers))
        )
        damaging.cancel()
        await asyncio.gather(damaging, return_exceptions=True)
        for link in doors:
            link.heal()
    for follower in followers:
        follower.require_true(LOUD, whole=True)
    assert sum(follower.cuts for follower in followers) > len(followers)


async def _damage(doors: Sequence[Link], chance: Random) -> None:
    while True:
        await asyncio.sleep(chance.random() * MOST_STALL_SECONDS)
        door = chance.choice(doors)
        match chance.randrange(4):
            case 0:
                door.cut()
            case 1:
                door.half_close()
            case 2:
                with door.stalled():
                    await asyncio.sleep(chance.random() * MOST_STALL_SECONDS)
            case _:
                door.delay_seconds = chance.random() / 20
