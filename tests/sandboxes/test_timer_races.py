"""A timer acts on what is true when it acts, and one provider's trouble holds up nobody else's."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text, update

from commandcenter.clock import now
from commandcenter.sandboxes.marks import SANDBOX_MARK
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.sandboxes.upkeep import keep_up
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.providers.wire import never, wire_server
from tests.sandboxes.at_provider import provider_sandboxes
from tests.sandboxes.sweeping import add_record, ago, change_record, product_services
from workers.upkeep import keep_sandboxes_up

WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize(
    ("given", "column"),
    [({"ttlSeconds": 2}, "expires_at"), ({"idleTimeoutSeconds": 2}, "last_activity_at")],
    ids=["extended", "used"],
)
async def test_a_sandbox_that_is_saved_in_the_last_moment_lives_on(
    client: Client, project: Project, given: dict[str, int], column: str
) -> None:
    made = await client.create_sandbox(**given)
    [there] = await provider_sandboxes(project)
    record_id = UUID(there["metadata"][SANDBOX_MARK])
    async with product_services(project.product) as services:
        await services.providers.get("local").set_ttl(there["sandboxID"], 60)
        async with project.product.database.transaction(project.id) as session:
            # Not committed yet: the timer reads that the sandbox is due, and waits for this row.
            saved = update(Sandbox).where(Sandbox.id == record_id)
            await session.execute(saved.values({column: now() + timedelta(seconds=60)}))
            await until_waiting(project, at_least=1)
        await until_waiting(project, at_least=0)
        await keep_up(services, "local")
    shown = await client.show(made["id"], "status terminationReason")
    assert shown == {"status": "RUNNING", "terminationReason": None}
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])


async def until_waiting(project: Project, *, at_least: int) -> None:
    """Wait until so many transactions of the product wait for a row; for 0, until none does."""
    async with asyncio.timeout(15):
        while True:
            async with project.product.database.system_transaction() as session:
                waiting = (await session.execute(WAITING)).scalar_one()
            if waiting >= at_least and (at_least or not waiting):
                return
            await asyncio.sleep(0.05)


async def test_a_provider_that_hangs_holds_up_itself_alone(project: Project) -> None:
    async with wire_server() as wire:
        wire.answers["DELETE", "/sandboxes/ihung"] = never
        record_id = await add_record(
            project,
            provider="e2b",
            provider_sandbox_id="ihung",
            termination_requested_at=ago(60),
            termination_reason="USER",
        )
        async with product_services(
            project.product, e2b_api_key="key", e2b_api_url=wire.url, e2b_sandbox_url=wire.url
        ) as services:
            worker = {"services": services}
            hung = asyncio.create_task(keep_sandboxes_up(worker))
            async with asyncio.timeout(10):
                await wire.arrived.wait()
                await keep_sandboxes_up(worker)
            assert not hung.done()
            assert len(wire.received) == 1
            hung.cancel()
            await asyncio.wait([hung])
    # The product's own worker would try for ever, at a provider that it does not know.
    await change_record(project, record_id, status=SandboxStatus.TERMINATED)
