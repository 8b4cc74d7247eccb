"""Ends always come, and timers hold, whatever the provider answers and whichever process of ours lives."""

import asyncio
import time
from datetime import UTC, datetime

from tests.faults.cloud import Fault, LostAnswer, Refusal, Silence
from tests.faults.providing import at_provider
from tests.faults.stack import PROVIDERS, Stack
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.sandboxes.test_timers import ON_TIME_SECONDS, when

ENDED_SECONDS = 30.0
ANSWERS: tuple[Fault, ...] = (
    Refusal(409),
    Refusal(429, retry_after_seconds=2),
    Refusal(500),
    Refusal(502),
    Refusal(503),
    LostAnswer(),
    Silence(),
)


async def test_a_sandbox_ends_within_30_seconds_of_its_providers_coming_to_its_senses(
    stack: Stack, project: Project
) -> None:
    client = project.client()

    async def end(fault: Fault, paused: bool) -> float:
        made = await client.create_sandbox(provider="e2b", ttlSeconds=300)
        if paused:
            await client.mutate("pauseSandbox", "id", sandboxId=made["id"])
        rule = stack.cloud.next(
            fault, times=2, method="DELETE", path=f"/sandboxes/{made['providerSandboxId']}"
        )
        asked = [asyncio.create_task(_terminate(project.client(web=web), made["id"])) for web in (0, 1)]
        await rule.met.wait()
        begun = time.monotonic()
        ended = await when(client, made["id"], "TERMINATED", seconds=2 * ENDED_SECONDS)
        assert ended["terminationReason"] == "USER"
        took = time.monotonic() - begun
        for task in asked:
            # Whoever waits for a silent provider need not be waited for.
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await _terminate(client, made["id"])
        return took

    took = await asyncio.gather(*(end(fault, number % 2 == 0) for number, fault in enumerate(ANSWERS)))
    assert max(took) < ENDED_SECONDS, dict(zip(ANSWERS, took, strict=True))
    assert await at_provider(stack, project, "e2b") == []


async def _terminate(client: Client, sandbox_id: str) -> None:
    """Ask once; no answer of the provider makes it an error."""
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


async def test_timers_hold_whichever_worker_lives(stack: Stack, project: Project) -> None:
    client = project.client()
    first, second = stack.workers
    await first.part.kill()
    due = [await client.create_sandbox(provider=provider, ttlSeconds=2) for provider in PROVIDERS]
    for made in due:
        await require_on_time(client, made, datetime.fromisoformat(made["expiresAt"]))
    await second.part.kill()
    due = [await client.create_sandbox(provider=provider, ttlSeconds=1) for provider in PROVIDERS]
    await asyncio.sleep(1)
    await first.part.start()
    started = datetime.now(UTC)
    for made in due:
        await require_on_time(client, made, started)


async def require_on_time(client: Client, made: dict[str, str], due: datetime) -> None:
    """The sandbox ends within five seconds of the moment that it was due."""
    ended = await when(client, made["id"], "TERMINATED")
    assert (datetime.now(UTC) - due).total_seconds() < ON_TIME_SECONDS
    assert ended["terminationReason"] == "TTL"
