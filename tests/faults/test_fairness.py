"""One process writes as fast as it can: others are not late, and our memory stays within its bound."""

import time
from dataclasses import dataclass

from tests.faults.parts import resident_bytes
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

SECONDS = 4
LATE_SECONDS = 1.0
# What is on its way (of each execution 2 MiB, each subscriber 4 MiB, the recorder's round 4 MiB), and what
# Python keeps of memory that it has freed.
MOST_GROWTH_BYTES = 96_000_000
LEAST_FLOOD_BYTES_A_SECOND = 5_000_000


@dataclass(frozen=True)
class Flood:
    """What was seen during a flood: its stored bytes, others' worst delay in seconds, the webs' growth."""

    stored: int
    worst_delay: float
    growth: int


async def flood(product: Product, client: Client, seconds: int) -> Flood:
    """Let one sandbox write as fast as it can while another tells the time twenty times a second."""
    webs = [web.child.process_id for web in product.webs]
    async with client.sandbox() as loud, client.sandbox() as quiet:
        await client.run(quiet, "true")
        before = [resident_bytes(web) for web in webs]
        flooding = await client.start(loud, "exec yes 'as fast as it can'")
        telling = await client.start(
            quiet, f"for i in $(seq {seconds * 20}); do date +%s.%N; sleep 0.05; done"
        )
        delays: list[float] = []
        growth = 0
        async with client.execution_logs(telling) as batches:
            async for batch in batches:
                for chunk in batch["chunks"]:
                    delays += [time.time() - float(line) for line in chunk["text"].split()]
                growth = max(
                    growth, *(resident_bytes(web) - was for web, was in zip(webs, before, strict=True))
                )
        stored = (await client.show_execution(flooding, "stdoutBytes"))["stdoutBytes"]
        await client.mutate("cancelExecution", "id", executionId=flooding)
        await client.ended(flooding)
    assert len(delays) == seconds * 20
    return Flood(stored, max(delays), growth)


async def test_a_flood_makes_no_line_of_others_late_and_takes_bounded_memory(
    product: Product, project: Project, soak_minutes: float
) -> None:
    seconds = 60 if soak_minutes else SECONDS
    seen = await flood(product, project.client(), seconds)
    print(f"{seen.stored / seconds / 1e6:.0f} MB/s, {seen}")
    assert seen.stored > seconds * LEAST_FLOOD_BYTES_A_SECOND
    assert seen.worst_delay < LATE_SECONDS
    assert seen.growth < MOST_GROWTH_BYTES
