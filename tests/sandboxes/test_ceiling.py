"""The project's ceiling bounds how long a sandbox runs, whatever is done to it; and its end is one time."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from commandcenter.events.records import Event
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project
from tests.sandboxes.at_provider import provider_sandboxes

CEILING_SECONDS = 30


@pytest.fixture
async def bounded(product: Product) -> Project:
    """A project whose sandboxes may run for half a minute."""
    return await product.new_project(default_ttl_seconds=CEILING_SECONDS, max_ttl_seconds=CEILING_SECONDS)


async def paused_after(bounded: Project, ran_seconds: int, paused_seconds: int = 0) -> str:
    """The id of a paused sandbox that ran, and then stood still, for so long."""
    client = bounded.client()
    made = await client.create_sandbox()
    await client.mutate("pauseSandbox", "id", sandboxId=made["id"])
    earlier = {
        "sandbox.started": timedelta(seconds=ran_seconds + paused_seconds),
        "sandbox.paused": timedelta(seconds=paused_seconds),
    }
    async with bounded.product.database.transaction(bounded.id) as session:
        for kind, by in earlier.items():
            await session.execute(update(Event).where(Event.kind == kind).values(at=Event.at - by))
    return str(made["id"])


async def test_a_resumed_sandbox_gets_no_more_than_is_left_of_the_ceiling(bounded: Project) -> None:
    client = bounded.client()
    sandbox_id = await paused_after(bounded, ran_seconds=20)
    resumed = await client.mutate("resumeSandbox", "expiresAt lastActivityAt", sandboxId=sandbox_id)
    resumed_at, expires_at = map(datetime.fromisoformat, (resumed["lastActivityAt"], resumed["expiresAt"]))
    assert (expires_at - resumed_at).total_seconds() <= 10
    error = await client.refused("extendSandbox", sandboxId=sandbox_id, ttlSeconds=11)
    assert (error.code, error.field) == ("INVALID", ("ttlSeconds",))
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


async def test_a_sandbox_without_time_left_is_not_resumed_and_says_so(bounded: Project) -> None:
    client = bounded.client()
    sandbox_id = await paused_after(bounded, ran_seconds=CEILING_SECONDS)
    async with bounded.unchanged():
        error = await client.refused("resumeSandbox", sandboxId=sandbox_id)
    assert (error.code, error.field) == ("QUOTA_EXCEEDED", ("sandboxId",))
    assert "maxTtlSeconds" in error.message
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


async def test_a_paused_sandbox_uses_nothing_up(bounded: Project) -> None:
    client = bounded.client()
    sandbox_id = await paused_after(bounded, ran_seconds=1, paused_seconds=3600)
    await client.mutate("resumeSandbox", "id", sandboxId=sandbox_id)
    await client.mutate("extendSandbox", "id", sandboxId=sandbox_id, ttlSeconds=CEILING_SECONDS // 2)
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


async def test_extensions_at_once_leave_record_and_provider_with_the_same_end(
    client: Client, project: Project
) -> None:
    async with client.sandbox(name="extended by many") as sandbox_id:
        await asyncio.gather(
            *(
                client.mutate("extendSandbox", "id", sandboxId=sandbox_id, ttlSeconds=60 * minutes)
                for minutes in range(1, 7)
            )
        )
        ours = datetime.fromisoformat((await client.show(sandbox_id, "expiresAt"))["expiresAt"])
        [there] = await provider_sandboxes(project)
        assert abs((datetime.fromisoformat(there["endAt"]) - ours).total_seconds()) < 2
