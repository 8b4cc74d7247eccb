"""Creations take turns at their provider: at its rate, fairly, over all processes, and visibly."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from commandcenter.identifiers import new_id
from commandcenter.sandboxes.create import CreateSandbox, create_sandbox
from commandcenter.sandboxes.errors import ProviderQueueFullError
from commandcenter.sandboxes.records import Sandbox
from tests.fixtures.client import SANDBOX, Client
from tests.fixtures.product import Project
from tests.sandboxes.clouded import A_SECOND, E2B, Clouded, operator, recorded
from tests.sandboxes.sweeping import read_record
from tests.sandboxes.test_timers import when

MOMENT = 0.3
"""What a request may be late by on its way to the cloud on a busy machine, in seconds."""


async def create_many(clouded: Clouded, project: Project, count: int) -> list[dict[str, Any]]:
    """As many sandboxes, asked for at once of both web processes."""
    asking, _ = await begin_many(clouded, project, count)
    return await asking


async def begin_many(
    clouded: Clouded, project: Project, count: int
) -> tuple[asyncio.Future[list[dict[str, Any]]], int]:
    """The same, once all of them are recorded: the answers to come, and how many the cloud was asked for."""
    name = str(new_id())
    asking = asyncio.gather(
        *(
            clouded.client(project, number % 2).mutate("createSandbox", SANDBOX, provider="e2b", name=name)
            for number in range(count)
        )
    )
    async with asyncio.timeout(10):
        while not asking.done() and await recorded(project, name) < count:
            await asyncio.sleep(0.01)
    return asking, len(clouded.cloud.creations)


async def all_run(client: Client, sandboxes: list[dict[str, Any]]) -> None:
    for sandbox in sandboxes:
        await when(client, sandbox["id"], "RUNNING")


async def test_creations_go_out_at_the_providers_rate_and_one_projects_many_hold_nobody_up(
    clouded: Clouded, project: Project
) -> None:
    other = await clouded.product.new_project()
    many, before = await begin_many(clouded, project, 8)
    first = await create_many(clouded, other, 1)
    await all_run(clouded.client(other), first)
    await all_run(clouded.client(project), await many)
    arrived = clouded.cloud.creations
    assert all(creation.accepted for creation in arrived)
    assert [creation.project for creation in arrived].index(str(other.id)) <= before + 2
    turns = sorted([*await asked_at(project), *await asked_at(other)])
    assert len(turns) == 9
    interval = timedelta(seconds=1 / A_SECOND)
    assert all(later - earlier >= interval for earlier, later in pairwise(turns))
    assert arrived[-1].at - arrived[0].at >= 8 / A_SECOND - MOMENT


async def asked_at(project: Project) -> list[datetime]:
    """When the cloud was asked for each of a project's sandboxes that run."""
    rows = (await project.rows("sandboxes"))["sandboxes"]
    return [row["asked_at"] for row in rows if row["status"] == "RUNNING"]


async def test_whoever_waits_sees_its_place_and_why_and_is_answered_while_it_waits(
    clouded: Clouded, project: Project
) -> None:
    key = str(new_id())
    many, _ = await begin_many(clouded, project, 8)
    answer = await clouded.client(project).payload(
        "createSandbox", "sandbox { id status statusReason }", provider="e2b", idempotencyKey=key
    )
    assert answer["userErrors"] == []
    last = answer["sandbox"]
    assert last["status"] == "CREATING"
    again = await clouded.client(project, 1).create_sandbox(provider="e2b", idempotencyKey=key)
    assert again["id"] == last["id"]
    await all_run(clouded.client(project), [last, *await many])
    assert last["statusReason"].startswith("Waiting for its turn at e2b: place ")
    assert last["statusReason"].endswith(f"; e2b takes {A_SECOND} a second.")
    assert (await clouded.client(project).show(last["id"]))["statusReason"] is None


async def test_the_place_in_the_queue_is_told_live(clouded: Clouded, project: Project) -> None:
    client = clouded.client(project)
    many, _ = await begin_many(clouded, project, 9)
    last = await client.create_sandbox(provider="e2b")
    reasons = await reasons_until_it_runs(client, last["id"])
    places = [int(reason.split("place ")[1].split()[0]) for reason in reasons]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) > 1
    await many


async def test_a_provider_that_says_not_now_gets_pauses_and_every_create_succeeds(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.most_a_second = 3
    async with clouded.services() as one, clouded.services() as other:
        made = await asyncio.gather(
            *(create_sandbox((one, other)[number % 2], operator(project), E2B) for number in range(8))
        )
    assert [sandbox.status for sandbox in made] == ["RUNNING"] * 8
    refused = [creation.at for creation in clouded.cloud.creations if not creation.accepted]
    again = clouded.cloud.creations[8]
    assert again.at - refused[0] >= 1, "it is asked again when it said, by none of the processes before"
    assert len(refused) <= 2 * 8, "it is tried with one at a time"


async def test_pauses_without_advice_grow_until_the_provider_takes_them(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.retry_after = None
    clouded.cloud.most_a_second = 0
    client = clouded.client(project)
    waiting = asyncio.create_task(reasons_until_it_runs(client))
    made = await client.create_sandbox(provider="e2b")
    assert made["status"] == "CREATING"
    await clouded.cloud.until_asked(3)
    clouded.cloud.most_a_second = None
    assert "e2b takes no more at the moment and is asked again at" in (await waiting)[0]
    first, second, third, fourth = (creation.at for creation in clouded.cloud.creations)
    assert [second - first, third - second, fourth - third] == pytest.approx([0.5, 1, 2], abs=0.3)


async def reasons_until_it_runs(client: Client, sandbox_id: str | None = None) -> list[str]:
    """Why a sandbox waited, as the subscription told it; without an id, of the next one that runs."""
    document = "subscription($id: ID) { sandboxChanged(sandboxId: $id) { id status statusReason } }"
    reasons: dict[str, list[str]] = {}
    async with client.subscribe(document, id=sandbox_id) as changes:
        async for change in changes:
            told = reasons.setdefault(change["id"], [])
            if change["status"] == "RUNNING":
                return told
            if change["statusReason"]:
                told.append(change["statusReason"])
    raise AssertionError("the subscription ended")


async def test_a_busy_provider_is_asked_again_when_it_said(clouded: Clouded, project: Project) -> None:
    clouded.cloud.mishaps.append("busy")
    await all_run(clouded.client(project), await create_many(clouded, project, 1))
    first, second = clouded.cloud.creations
    assert second.at - first.at >= 1
    assert first.sandbox == second.sandbox


async def test_no_more_run_at_once_than_the_account_may(clouded: Clouded, project: Project) -> None:
    async with clouded.services(e2b_sandboxes_at_once=2, creation_answer_seconds=1) as services:
        made = await asyncio.gather(
            *(create_sandbox(services, operator(project), E2B) for _ in range(3)), return_exceptions=True
        )
        running = [one for one in made if isinstance(one, Sandbox) and one.status == "RUNNING"]
        [waiting] = [one for one in made if isinstance(one, Sandbox) and one.status == "CREATING"]
        assert len(running) == len(clouded.cloud.sandboxes) == 2
        async with asyncio.timeout(10):
            while not (told := (await read_record(project, waiting.id)).status_reason):
                await asyncio.sleep(0.02)
        assert "place 1 of 1; e2b runs 2 at once" in told
        client = clouded.client(project)
        listed = await client.query("{ sandboxes(filter: {status: [RUNNING]}) { nodes { id } } }")
        await client.mutate("terminateSandbox", "id", sandboxId=listed["sandboxes"]["nodes"][0]["id"])
        async with asyncio.timeout(10):
            while (await read_record(project, waiting.id)).status != "RUNNING":
                await asyncio.sleep(0.02)


async def test_a_full_queue_is_an_error_that_names_its_limit_and_is_no_ones_alone(
    clouded: Clouded, project: Project
) -> None:
    other = await clouded.product.new_project()
    async with clouded.services(
        e2b_creates_per_second=0.01, most_waiting_creations=2, creation_answer_seconds=0.3
    ) as services:
        made = await asyncio.gather(
            *(create_sandbox(services, operator(project), E2B) for _ in range(5)), return_exceptions=True
        )
        refused = [each for each in made if isinstance(each, ProviderQueueFullError)]
        assert len(refused) in (2, 3), "two wait; one may have taken its turn meanwhile"
        assert "most_waiting_creations is 2" in refused[0].message
        assert refused[0].code == "RATE_LIMITED"
        theirs = await create_sandbox(services, operator(other), E2B)
        assert theirs.status == "CREATING"
        await end_waiting(clouded, project, other)


async def end_waiting(clouded: Clouded, *projects: Project) -> None:
    """End all that wait, as their users would."""
    for project in projects:
        client = clouded.client(project)
        listed = await client.query("{ sandboxes(filter: {status: [CREATING]}) { nodes { id } } }")
        for node in listed["sandboxes"]["nodes"]:
            ended = await client.mutate("terminateSandbox", "status", sandboxId=node["id"])
            assert ended == {"status": "TERMINATED"}


async def test_a_creation_whose_turn_never_comes_fails_and_says_so(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.most_a_second = 0
    clouded.cloud.retry_after = "60"
    key = str(new_id())
    async with clouded.services(creation_seconds=1, creation_answer_seconds=0.5) as services:
        request = CreateSandbox(provider="e2b", idempotency_key=key)
        waiting = await create_sandbox(services, operator(project), request)
        assert waiting.status == "CREATING"
        async with asyncio.timeout(10):
            while (record := await read_record(project, waiting.id)).status == "CREATING":
                await asyncio.sleep(0.02)
    assert record.status == "FAILED"
    assert record.status_reason is not None
    assert "did not come within 1 s" in record.status_reason
    assert "too many sandboxes" in record.status_reason
    await clouded.begin()
    retried = await clouded.client(project).create_sandbox(provider="e2b", idempotencyKey=key)
    assert retried["status"] == "RUNNING"


async def test_what_is_refused_while_its_request_waits_leaves_nothing(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.mishaps.append("refuse")
    async with project.unchanged():
        error = await clouded.client(project).refused("createSandbox", provider="e2b")
    assert error.code == "INVALID"
    assert "no such thing" in error.message
