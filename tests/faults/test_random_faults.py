"""Everything breaks at random while users work, and every promise holds."""

import asyncio
from random import Random

import pytest

from tests.faults.random_run import random_run
from tests.faults.stack import Stack

SECONDS = 12.0
ROUND_SECONDS = 40.0


@pytest.mark.timeout(240)
async def test_whatever_breaks_every_byte_sandbox_and_event_is_accounted_for(
    stack: Stack, chance: Random, soak_minutes: float
) -> None:
    end = asyncio.get_running_loop().time() + soak_minutes * 60
    ended = await one_round(stack, chance, ROUND_SECONDS if soak_minutes else SECONDS)
    while asyncio.get_running_loop().time() < end:
        seed = chance.getrandbits(32)
        print(f"\nAnother round, which is also the first of --fault-seed {seed}", flush=True)
        ended += await one_round(stack, Random(seed), ROUND_SECONDS)
    assert ended > 0


async def one_round(stack: Stack, chance: Random, seconds: float) -> int:
    """Break things for so many seconds; how many executions had their end seen or said to be unknown."""
    done = await random_run(stack, chance, seconds=seconds)
    print(*(f"{count:5} {what}" for what, count in sorted(done.items())), sep="\n", flush=True)
    return sum(count for what, count in done.items() if what.startswith("ended "))
