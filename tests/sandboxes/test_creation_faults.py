"""Creations whose answer is lost, or whose process dies, come to one end that is known."""

import asyncio
import os
import signal
import time
from typing import Any
from uuid import UUID

import pytest

from commandcenter.errors import DomainError
from commandcenter.identifiers import new_id
from commandcenter.sandboxes.create import CreateSandbox, create_sandbox
from commandcenter.sandboxes.create_leases import settle_creations
from commandcenter.sandboxes.records import Sandbox
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.sandboxes.clouded import Clouded, operator, recorded
from tests.sandboxes.sweeping import add_record, ago, read_record
from tests.sandboxes.test_timers import when

TAKEN_UP_SECONDS = 15.0


async def kinds_of(client: Client, sandbox_id: str) -> list[str]:
    """The kinds of a sandbox's events."""
    shown = await client.show(sandbox_id, "events { nodes { kind } }")
    return [event["kind"] for event in shown["events"]["nodes"]]


async def test_a_lost_answer_is_looked_for_and_its_sandbox_adopted(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.mishaps.append("lose")
    made = await clouded.client(project).create_sandbox(provider="e2b")
    assert made["status"] == "RUNNING"
    assert [made["providerSandboxId"]] == list(clouded.cloud.sandboxes)
    assert "sandbox.adopted" in await kinds_of(clouded.client(project), made["id"])


async def test_what_the_provider_failed_to_make_is_an_error_and_its_key_is_free(
    clouded: Clouded, project: Project
) -> None:
    clouded.cloud.mishaps.append("fail")
    request = CreateSandbox(provider="e2b", idempotency_key=str(new_id()))
    async with clouded.services() as one, clouded.services() as other:
        first = asyncio.create_task(create_sandbox(one, operator(project), request))
        await clouded.cloud.until_asked(1)
        with pytest.raises(DomainError, match="it broke"):
            await create_sandbox(other, operator(project), request)
        with pytest.raises(DomainError, match="it broke"):
            await first
        again = await create_sandbox(other, operator(project), request)
    assert again.status == "RUNNING"
    assert clouded.cloud.made_for(again.id) == list(clouded.cloud.sandboxes)


async def test_what_a_killed_process_was_making_comes_to_its_end_and_keys_hold(
    clouded: Clouded, project: Project
) -> None:
    client = clouded.client(project)
    asked, waiting, secretive = Request("asked"), Request("waiting"), Request("secretive", SECRET="x")
    clouded.cloud.mishaps.append("hold")
    async with client.sandbox() as local, clouded.another(COMMANDCENTER_E2B_SANDBOXES_AT_ONCE="1") as web:
        doomed = project.client_of(web)
        command = {"sandboxId": local, "command": "echo ran >> runs; sleep 100", "idempotencyKey": "ran"}
        execution = await doomed.mutate("executeCommand", "id", **command)
        requests = [asyncio.create_task(asked.create(doomed))]
        await clouded.cloud.until_asked(1)
        requests += [asyncio.create_task(each.create(doomed)) for each in (waiting, secretive)]
        while not (await recorded(project, waiting.name) and await recorded(project, secretive.name)):
            await asyncio.sleep(0.01)
        os.kill(web.child.process_id, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.gather(*requests, return_exceptions=True)
        assert await client.mutate("executeCommand", "id", **command) == execution
        adopted = await when(client, await asked.made(client), "RUNNING")
        taken_up = await when(client, await waiting.made(client), "RUNNING")
        failed = await when(client, await secretive.made(client), "FAILED")
        assert time.monotonic() - killed < TAKEN_UP_SECONDS
        assert (await client.run(local, "cat runs"))["stdout"] == "ran\n"
    assert "sandbox.adopted" in await kinds_of(client, adopted["id"])
    assert "sandbox.started" in await kinds_of(client, taken_up["id"])
    assert "its environment variables are not stored. Ask again." in failed["statusReason"]
    assert (await asked.create(client))["id"] == adopted["id"]
    assert (await waiting.create(client))["id"] == taken_up["id"]
    retried = await secretive.create(client)
    assert retried["id"] != failed["id"]
    await when(client, retried["id"], "RUNNING")
    assert len(clouded.cloud.sandboxes) == 3


class Request:
    """A request for a sandbox with an idempotency key, to be sent again."""

    def __init__(self, name: str, **environment: str) -> None:
        self.name = name
        envs = [{"name": variable, "value": value} for variable, value in environment.items()]
        self._values = {"name": name, "provider": "e2b", "idempotencyKey": str(new_id()), "envs": envs}

    async def create(self, client: Client) -> dict[str, Any]:
        return await client.create_sandbox(**self._values)

    async def made(self, client: Client) -> str:
        """The id of the sandbox that was recorded for it."""
        document = "query($name: String) { sandboxes(filter: {nameContains: $name}) { nodes { id } } }"
        [found] = (await client.query(document, name=self.name))["sandboxes"]["nodes"]
        return str(found["id"])


async def test_what_a_dead_process_asked_for_and_its_provider_never_made_fails(
    clouded: Clouded, project: Project
) -> None:
    lost = await add_record(
        project,
        provider="e2b",
        status="CREATING",
        incarnation=0,
        owner=new_id(),
        lease_until=ago(20),
        asked_at=ago(40),
        idempotency_key=str(new_id()),
    )
    async with clouded.services() as services:
        await settle_creations(services)
        record = await until_settled(project, lost)
    assert (record.status, record.idempotency_key) == ("FAILED", None)
    assert record.status_reason is not None
    assert "its provider does not have it. Ask again." in record.status_reason


async def until_settled(project: Project, sandbox_id: UUID) -> Sandbox:
    """A sandbox's record once it is not being made any more."""
    async with asyncio.timeout(10):
        while (record := await read_record(project, sandbox_id)).status == "CREATING":
            await asyncio.sleep(0.02)
    return record
