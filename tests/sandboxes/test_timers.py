"""Timers hold: expiry, its ceiling, pausing instead of ending, and idleness that is none while it works."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

ON_TIME_SECONDS = 5.0


async def when(client: Client, sandbox_id: str, status: str, seconds: float = 25.0) -> dict[str, Any]:
    """The sandbox once it has a state, as the subscription shows it."""
    document = (
        "subscription($id: ID) { sandboxChanged(sandboxId: $id) "
        "{ id status statusReason terminationReason expiresAt } }"
    )
    async with asyncio.timeout(seconds), client.subscribe(document, id=sandbox_id) as changes:
        async for sandbox in changes:
            if sandbox["status"] == status:
                found: dict[str, Any] = sandbox
                return found
    raise AssertionError("the subscription ended")


async def test_a_sandbox_ends_when_its_time_is_over_and_says_so(client: Client) -> None:
    made = await client.create_sandbox(ttlSeconds=2)
    ended = await when(client, made["id"], "TERMINATED")
    late = (datetime.now(UTC) - datetime.fromisoformat(made["expiresAt"])).total_seconds()
    assert 0 <= late <= ON_TIME_SECONDS
    assert ended["terminationReason"] == "TTL"


async def test_on_timeout_pause_keeps_the_files(client: Client) -> None:
    made = await client.create_sandbox(ttlSeconds=3, onTimeout="PAUSE")
    await client.run(made["id"], "echo kept > file")
    paused = await when(client, made["id"], "PAUSED")
    assert (paused["terminationReason"], paused["expiresAt"]) == (None, None)
    assert "resume" in paused["statusReason"]
    await client.mutate("resumeSandbox", "id", sandboxId=made["id"])
    await client.mutate("extendSandbox", "id", sandboxId=made["id"], ttlSeconds=60)
    assert (await client.run(made["id"], "cat file"))["stdout"] == "kept\n"
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])


async def test_an_extended_sandbox_outlives_its_first_time_and_a_shortened_one_does_not(
    client: Client,
) -> None:
    extended = await client.create_sandbox(ttlSeconds=2)
    shortened = await client.create_sandbox(ttlSeconds=60)
    await client.mutate("extendSandbox", "id", sandboxId=extended["id"], ttlSeconds=60)
    await client.mutate("extendSandbox", "id", sandboxId=shortened["id"], ttlSeconds=1)
    ended = await when(client, shortened["id"], "TERMINATED")
    assert ended["terminationReason"] == "TTL"
    await asyncio.sleep(max(0.0, seconds_until(extended["expiresAt"]) + 1))
    assert (await client.run(extended["id"], "true"))["exitCode"] == 0
    await client.mutate("terminateSandbox", "id", sandboxId=extended["id"])


async def test_no_sandbox_is_extended_beyond_the_projects_ceiling(product: Product) -> None:
    project = await product.new_project(default_ttl_seconds=60, max_ttl_seconds=120)
    client = project.client()
    assert (await client.refused("createSandbox", ttlSeconds=121)).field == ("ttlSeconds",)
    async with client.sandbox() as sandbox_id:
        before = await client.show(sandbox_id)
        for seconds in (0, -1, 121, 2**31 - 1):
            async with project.unchanged():
                error = await client.refused("extendSandbox", sandboxId=sandbox_id, ttlSeconds=seconds)
            assert (error.code, error.field) == ("INVALID", ("ttlSeconds",))
            assert "maxTtlSeconds" in error.message
        assert await client.show(sandbox_id) == before
        await client.mutate("extendSandbox", "id", sandboxId=sandbox_id, ttlSeconds=110)


async def test_an_idle_sandbox_ends_and_one_at_work_or_looked_at_does_as_it_should(
    client: Client, project: Project
) -> None:
    idle, busy, looked_at = [(await client.create_sandbox(idleTimeoutSeconds=2))["id"] for _ in range(3)]
    working = asyncio.create_task(client.run(busy, "sleep 5"))
    started = time.monotonic()
    looking = asyncio.create_task(look_at(client, looked_at))
    for sandbox_id in (idle, looked_at):
        ended = await when(client, sandbox_id, "TERMINATED")
        assert ended["terminationReason"] == "IDLE"
    assert time.monotonic() - started <= 2 + ON_TIME_SECONDS
    looking.cancel()
    assert (await working)["status"] == "SUCCEEDED"
    assert (await when(client, busy, "TERMINATED"))["terminationReason"] == "IDLE"


async def look_at(client: Client, sandbox_id: str) -> None:
    """Look without using."""
    while True:
        selection = "metrics { cpuUsedPct } executions { totalCount } logs { nodes { text } }"
        await client.show(sandbox_id, selection)
        await asyncio.sleep(0.2)


async def test_input_keeps_a_sandbox_from_being_idle(client: Client) -> None:
    made = await client.create_sandbox(idleTimeoutSeconds=2)
    terminal = await client.mutate("openTerminal", "id", sandboxId=made["id"])
    await client.mutate("sendInput", "id", executionId=terminal["id"], text="exit\n")
    before = (await client.show(made["id"], "lastActivityAt"))["lastActivityAt"]
    await client.ended(terminal["id"])
    assert (await client.show(made["id"], "lastActivityAt"))["lastActivityAt"] >= before
    assert (await when(client, made["id"], "TERMINATED"))["terminationReason"] == "IDLE"


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()
