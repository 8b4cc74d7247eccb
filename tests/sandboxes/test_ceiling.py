"""The project's ceiling bounds how long a sandbox runs, whatever is done to it; and its end is one time."""

import asyncio
from datetime import datetime

from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project
from tests.sandboxes.at_provider import provider_sandboxes


async def test_a_resumed_sandbox_gets_no_more_than_is_left_of_the_ceiling(product: Product) -> None:
    project = await product.new_project(default_ttl_seconds=3, max_ttl_seconds=3)
    client = project.client()
    made = await client.create_sandbox(onTimeout="PAUSE")
    await client.run(made["id"], "sleep 1.1")
    await client.mutate("pauseSandbox", "id", sandboxId=made["id"])
    resumed = await client.mutate("resumeSandbox", "expiresAt lastActivityAt", sandboxId=made["id"])
    resumed_at, expires_at = map(datetime.fromisoformat, (resumed["lastActivityAt"], resumed["expiresAt"]))
    assert (expires_at - resumed_at).total_seconds() <= 2
    error = await client.refused("extendSandbox", sandboxId=made["id"], ttlSeconds=3)
    assert (error.code, error.field) == ("INVALID", ("ttlSeconds",))
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])


async def test_a_paused_sandbox_uses_nothing_up_and_one_without_time_left_says_so(product: Product) -> None:
    project = await product.new_project(default_ttl_seconds=2, max_ttl_seconds=2)
    client = project.client()
    made = await client.create_sandbox(onTimeout="PAUSE")
    await client.mutate("pauseSandbox", "id", sandboxId=made["id"])
    await asyncio.sleep(2)
    await client.mutate("resumeSandbox", "id", sandboxId=made["id"])
    await client.run(made["id"], "sleep 1.5")
    await client.mutate("pauseSandbox", "id", sandboxId=made["id"])
    async with project.unchanged():
        error = await client.refused("resumeSandbox", sandboxId=made["id"])
    assert (error.code, error.field) == ("QUOTA_EXCEEDED", ("sandboxId",))
    assert "maxTtlSeconds" in error.message
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])


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
