"""What a provider has and what our records say are brought together, and nobody's sandbox is harmed by it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis

from commandcenter.access.scope import Role
from commandcenter.identifiers import new_id
from commandcenter.sandboxes.marks import PROJECT_MARK, SANDBOX_MARK
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project
from tests.providers.wire import WireServer, answer, wire_server
from tests.sandboxes.at_provider import provider_sandboxes
from tests.sandboxes.sweeping import (
    AT_ONCE,
    add_record,
    ago,
    change_record,
    foreign_marks,
    is_at_runtime,
    made_beside,
    our_marks,
    product_services,
    read_record,
    sweep,
    wired_provider,
)
from tests.sandboxes.test_timers import when
from workers.turns import take_alone


@pytest.fixture(scope="module")
async def services(product: Product) -> AsyncIterator[Services]:
    async with product_services(product) as opened:
        yield opened


@pytest.fixture
async def wire() -> AsyncIterator[WireServer]:
    async with wire_server() as server:
        server.reset()
        yield server


async def provider_id(project: Project) -> tuple[str, UUID]:
    """The provider's id and ours of the one sandbox that the project has."""
    [found] = [
        (one["sandboxID"], UUID(one["metadata"][SANDBOX_MARK])) for one in await provider_sandboxes(project)
    ]
    return found


async def test_a_sandbox_that_was_killed_at_its_provider_is_terminated(
    client: Client, services: Services, project: Project
) -> None:
    made = await client.create_sandbox()
    there, _ = await provider_id(project)
    await services.providers.get("local").kill(there)
    await sweep(services)
    ended = await client.show(made["id"], "status statusReason terminationReason expiresAt")
    assert (ended["status"], ended["terminationReason"]) == ("TERMINATED", "PROVIDER")
    assert "at its provider" in ended["statusReason"]
    assert ended["expiresAt"] is None


async def test_a_sandbox_that_crashed_says_so(client: Client, services: Services, project: Project) -> None:
    made = await client.create_sandbox()
    there, _ = await provider_id(project)
    stored = next(project.product.runtime.state.rglob(f"{there}/meta.json"))
    os.kill(json.loads(stored.read_bytes())["pid1"]["pid"], signal.SIGKILL)
    ended = await when(client, made["id"], "TERMINATED")
    assert ended["terminationReason"] == "CRASH"
    assert "crashed" in ended["statusReason"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("OUT_OF_MEMORY", "OUT_OF_MEMORY"),
        ("CRASHED", "CRASH"),
        ("EXPIRED", "TTL"),
        ("KILLED", "PROVIDER"),
        ("of another sort", "PROVIDER"),
    ],
)
async def test_the_runtimes_reason_of_an_end_is_kept(
    services: Services, project: Project, wire: WireServer, told: str, reason: str
) -> None:
    record_id = await add_record(project, provider="wired", provider_sandbox_id="igone")
    wire.answers["GET", "/runtime/sandboxes/igone"] = answer(200, {"endReason": told})
    await reconcile(services, wired_provider(wire), Patience())
    record = await read_record(project, record_id)
    assert (record.status, record.termination_reason) == ("TERMINATED", reason)


async def test_what_is_missing_from_a_list_and_yet_there_lives_on(
    services: Services, project: Project, wire: WireServer
) -> None:
    record_id = await add_record(project, provider="wired", provider_sandbox_id="isandbox1")
    await reconcile(services, wired_provider(wire), Patience())
    assert (await read_record(project, record_id)).status is SandboxStatus.RUNNING
    del wire.answers["GET", "/sandboxes/isandbox1"]
    await reconcile(services, wired_provider(wire), Patience())
    assert (await read_record(project, record_id)).status is SandboxStatus.TERMINATED


async def test_an_orphan_is_ended_after_its_grace_and_not_before(
    services: Services, project: Project
) -> None:
    async with made_beside(project, our_marks, services, new_id()) as orphan:
        await sweep(services, Patience(orphan=timedelta(seconds=20)))
        assert await is_at_runtime(project, orphan)
        await sweep(services, AT_ONCE)
        assert not await is_at_runtime(project, orphan)


async def test_a_sandbox_with_anothers_mark_is_never_touched(services: Services, project: Project) -> None:
    async with made_beside(project, foreign_marks, services, new_id()) as foreign:
        await sweep(services, AT_ONCE)
        assert await is_at_runtime(project, foreign)


async def test_what_is_being_made_is_left_alone_however_long_it_takes(
    services: Services, project: Project
) -> None:
    record_id = await add_record(
        project,
        status=SandboxStatus.CREATING,
        created_at=ago(600),
        asked_at=ago(600),
        owner=new_id(),
        lease_until=ago(-60),
    )
    async with made_beside(project, our_marks, services, record_id) as being_made:
        await sweep(services, AT_ONCE)
        assert await is_at_runtime(project, being_made)
    assert (await read_record(project, record_id)).status is SandboxStatus.CREATING
    await change_record(project, record_id, status=SandboxStatus.FAILED)


async def test_a_sandbox_that_its_provider_paused_ends_when_its_time_is_over(
    client: Client, services: Services, project: Project
) -> None:
    made = await client.create_sandbox(ttlSeconds=60)
    there, record_id = await provider_id(project)
    await services.providers.get("local").pause(there)
    await sweep(services)
    paused = await client.show(made["id"], "status expiresAt")
    assert paused == {"status": "PAUSED", "expiresAt": made["expiresAt"]}
    await change_record(project, record_id, expires_at=ago(1))
    assert (await when(client, made["id"], "TERMINATED"))["terminationReason"] == "TTL"


async def test_a_sandbox_that_runs_though_it_was_paused_is_paused_again(
    client: Client, services: Services, project: Project
) -> None:
    async with client.sandbox() as sandbox_id:
        there, _ = await provider_id(project)
        await client.mutate("pauseSandbox", "id", sandboxId=sandbox_id)
        provider = services.providers.get("local")
        await provider.resume(there, 60)
        await sweep(services)
        assert (await provider.info(there)).state == "paused"
        assert (await client.show(sandbox_id, "status"))["status"] == "PAUSED"


async def test_what_the_sweep_found_and_did_is_told(
    client: Client, services: Services, project: Project
) -> None:
    made = await client.create_sandbox()
    there, record_id = await provider_id(project)
    await services.providers.get("local").kill(there)
    await sweep(services)
    async with made_beside(project, our_marks, services, record_id) as orphan:
        await sweep(services)
        assert not await is_at_runtime(project, orphan), "nothing waits for what has ended"
    nodes = (await client.show(made["id"], "events { nodes { kind actor data } }"))["events"]["nodes"]
    told = {event["kind"]: event for event in nodes if event["actor"] == "system:reconcile"}
    assert set(told) == {"sandbox.vanished", "sandbox.terminated", "sandbox.orphan_ended"}
    vanished, ended = told["sandbox.vanished"]["data"], told["sandbox.orphan_ended"]["data"]
    assert (vanished["provider_sandbox_id"], vanished["was"]) == (there, "RUNNING")
    assert (ended["provider_sandbox_id"], ended["record"]) == (orphan, "TERMINATED")


async def test_an_orphan_of_no_record_is_told_to_its_project_or_to_the_installation(
    services: Services, project: Project
) -> None:
    administrator = project.product.administrator
    for owner, subject in ((project.id, "project"), (new_id(), "installation")):

        def marks(instance_id: str, record_id: str, owner: UUID = owner) -> dict[str, str]:
            return {**our_marks(instance_id, record_id), PROJECT_MARK: str(owner)}

        async with made_beside(project, marks, services, new_id()) as orphan:
            await sweep(services, AT_ONCE)
        query = "{ events { nodes { kind data } } }"
        own = (await project.client().query(query))["events"]["nodes"]
        query = "{ installationEvents { nodes { kind data } totalCount } }"
        everybodys = (await administrator.query(query))["installationEvents"]["nodes"]
        told = {"project": own, "installation": everybodys}
        for place, events in told.items():
            found = [event for event in events if event["data"].get("provider_sandbox_id") == orphan]
            assert [event["kind"] for event in found] == ["sandbox.orphan_ended"] * (place == subject)
    [refused] = await project.client(Role.ADMINISTRATOR).errors("{ installationEvents { totalCount } }")
    assert refused.code == "FORBIDDEN"


async def test_a_sweep_is_done_by_one_worker_at_a_time(services: Services) -> None:
    under_way, go_on = asyncio.Event(), asyncio.Event()
    done = []

    async def work() -> None:
        under_way.set()
        await go_on.wait()
        done.append(1)

    async with Redis.from_url(services.settings.redis_url or "") as redis:
        first = asyncio.create_task(take_alone(redis, "a test's", work))
        await under_way.wait()
        await take_alone(redis, "a test's", work)
        assert done == []
        go_on.set()
        await first
        await take_alone(redis, "a test's", work)
    assert done == [1, 1]
