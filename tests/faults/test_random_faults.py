"""Everything breaks at random while users work, and every promise holds."""

from random import Random

import pytest

from tests.faults.random_run import random_run
from tests.faults.stack import Stack

SECONDS = 12.0


@pytest.mark.timeout(240)
async def test_whatever_breaks_every_byte_sandbox_and_event_is_accounted_for(
    stack: Stack, chance: Random
) -> None:
    done = await random_run(stack, chance, seconds=SECONDS)
    print(*(f"{count:5} {what}" for what, count in sorted(done.items())), sep="\n")
    assert sum(count for what, count in done.items() if what.startswith("ended ")) > 0
