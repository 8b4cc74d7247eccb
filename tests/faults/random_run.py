"""Users at work while everything breaks at random; then all is healed, and all must be accounted for."""

import asyncio
from collections import Counter
from functools import partial
from random import Random
from typing import Any

from tests.faults.damaging import damage
from tests.faults.executing import clients_of
from tests.faults.following import again
from tests.faults.ledger import require_complete
from tests.faults.leftovers import leftovers
from tests.faults.providing import at_provider, until
from tests.faults.stack import PROVIDERS, Stack
from tests.faults.using import Run, User
from tests.fixtures.client import Client
from tests.fixtures.product import Project

USERS = 4
ANSWER_SECONDS = 30.0
# After the healing: a lease that runs out, its takeover, and what the longest command still has to say.
ENDED_SECONDS = 60.0
TERMINATED_SECONDS = 60.0
# The grace of an orphan, and a sweep.
NOTHING_LEFT_SECONDS = 60.0


async def random_run(stack: Stack, chance: Random, *, seconds: float) -> Counter[str]:
    """Break things for so many seconds, see that every promise held, and tell what was done how often."""
    project = await stack.product.new_project(max_sandboxes=1000)
    clients = clients_of(project, 0, 1)
    users = [User(f"user-{number}", clients, Random(chance.getrandbits(64))) for number in range(USERS)]
    end = asyncio.get_running_loop().time() + seconds
    done: Counter[str] = Counter()
    async with damage(stack, chance) as doing:
        await asyncio.gather(*(user.work(end) for user in users))
        done += doing.done
    for user in users:
        done += user.done
    ended = {sandbox_id for user in users for sandbox_id in user.ended}
    runs = [run for user in users for run in user.runs]
    await _let_end(clients, runs)
    for run in runs:
        done[f"ended {await run.check(clients, ANSWER_SECONDS, ended)}"] += 1
    await _terminate_all(clients)
    await _require_nothing_left(stack, project)
    await require_complete(project)
    return done


async def _let_end(clients: list[Client], runs: list[Run]) -> None:
    """Wait until all commands have ended, in sandboxes too whose user got no answer to a resume."""

    async def all_ended() -> bool:
        for sandbox in await again(clients, partial(_in_states, states=["PAUSED"]), seconds=ANSWER_SECONDS):
            await clients[0].payload("resumeSandbox", "sandbox { id }", sandboxId=sandbox["id"])
        return all(run.reading.done() for run in runs)

    def running() -> list[object]:
        return [(run.provider, run.sandbox_id, run.follower) for run in runs if not run.reading.done()]

    await until(all_ended, running, seconds=ENDED_SECONDS)


async def _terminate_all(clients: list[Client]) -> None:
    """End every sandbox that has not ended, and wait until each has."""
    left: list[dict[str, Any]] = []
    not_ended = partial(_in_states, states=["CREATING", "RUNNING", "PAUSED", "FAILED"])

    async def all_ended() -> bool:
        left[:] = await again(clients, not_ended, seconds=ANSWER_SECONDS)
        return not left

    for sandbox in await again(clients, not_ended, seconds=ANSWER_SECONDS):
        await clients[0].payload("terminateSandbox", "sandbox { id }", sandboxId=sandbox["id"])
    await until(all_ended, lambda: left, seconds=TERMINATED_SECONDS)


async def _in_states(client: Client, states: list[str]) -> list[dict[str, Any]]:
    document = """query($states: [SandboxStatus!]) { sandboxes(first: 100, filter: {status: $states})
        { nodes { id status statusReason provider } } }"""
    found: list[dict[str, Any]] = (await client.query(document, states=states))["sandboxes"]["nodes"]
    return found


async def _require_nothing_left(stack: Stack, project: Project) -> None:
    found: list[object] = []

    async def nothing_left() -> bool:
        found[:] = [one for name in PROVIDERS for one in await at_provider(stack, project, name)]
        found.extend(leftovers(stack.runtime.state, stack.runtime.pid))
        return not found

    await until(nothing_left, lambda: found, seconds=NOTHING_LEFT_SECONDS)
