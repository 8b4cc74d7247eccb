"""What each state allows: a wrong state is a typed error, and nothing changes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from commandcenter.executions import states as execution_states
from commandcenter.sandboxes import states as sandbox_states
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.sandboxes.at_provider import provider_sandboxes

NEEDS_RUNNING: dict[str, dict[str, Any]] = {
    "pauseSandbox": {},
    "extendSandbox": {"ttlSeconds": 60},
    "executeCommand": {"command": "true"},
    "openTerminal": {},
}


async def in_state(client: Client, status: str) -> str:
    """The id of a sandbox in a state."""
    sandbox_id = str((await client.create_sandbox())["id"])
    if status == "PAUSED":
        await client.mutate("pauseSandbox", "id", sandboxId=sandbox_id)
    elif status == "TERMINATED":
        await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)
    return sandbox_id


@pytest.mark.parametrize("status", ["PAUSED", "TERMINATED"])
async def test_what_needs_a_running_sandbox_is_refused_and_changes_nothing(
    client: Client, project: Project, status: str
) -> None:
    sandbox_id = await in_state(client, status)
    for mutation, values in NEEDS_RUNNING.items():
        async with project.unchanged():
            error = await client.refused(mutation, sandboxId=sandbox_id, **values)
        assert (error.code, error.field) == ("WRONG_STATE", ("sandboxId",)), mutation
        assert status in error.message
        assert "RUNNING" in error.message
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


@pytest.mark.parametrize("status", ["RUNNING", "TERMINATED"])
async def test_only_a_paused_sandbox_is_resumed(client: Client, project: Project, status: str) -> None:
    sandbox_id = await in_state(client, status)
    async with project.unchanged():
        error = await client.refused("resumeSandbox", sandboxId=sandbox_id)
    assert (error.code, error.field) == ("WRONG_STATE", ("sandboxId",))
    assert "PAUSED" in error.message
    await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)


@pytest.mark.parametrize("status", ["RUNNING", "PAUSED", "TERMINATED"])
async def test_terminate_works_from_every_state_and_twice(
    client: Client, project: Project, status: str
) -> None:
    sandbox_id = await in_state(client, status)
    first = await client.mutate("terminateSandbox", "status terminationReason", sandboxId=sandbox_id)
    assert first == {"status": "TERMINATED", "terminationReason": "USER"}
    async with project.unchanged():
        again = await client.mutate("terminateSandbox", "status terminationReason", sandboxId=sandbox_id)
    assert again == first


async def test_a_sandbox_that_could_not_be_made_is_terminated_too(client: Client, project: Project) -> None:
    sandbox_id = await in_state(client, "RUNNING")
    await set_status(project, SandboxStatus.FAILED)
    ended = await client.mutate("terminateSandbox", "status terminationReason", sandboxId=sandbox_id)
    assert ended == {"status": "TERMINATED", "terminationReason": "USER"}


async def test_a_sandbox_that_is_being_made_is_terminated_too(client: Client, project: Project) -> None:
    making = asyncio.create_task(client.payload("createSandbox", "sandbox { id status }", name="brief"))
    sandbox_id = None
    while sandbox_id is None:
        found = await client.query('{ sandboxes(filter: {nameContains: "brief"}) { nodes { id } } }')
        sandbox_id = next((node["id"] for node in found["sandboxes"]["nodes"]), None)
    ended = await client.mutate("terminateSandbox", "status terminationReason", sandboxId=sandbox_id)
    assert ended == {"status": "TERMINATED", "terminationReason": "USER"}
    await making
    assert (await client.show(sandbox_id))["status"] == "TERMINATED"
    assert await provider_sandboxes(project) == []


async def test_many_are_terminated_together_or_none(client: Client, project: Project) -> None:
    ids = [await in_state(client, "RUNNING"), await in_state(client, "PAUSED")]
    other = await project.product.new_project()
    foreign = await in_state(other.client(), "RUNNING")
    async with project.unchanged(), other.unchanged():
        error = await client.refused("terminateSandboxes", sandboxIds=[*ids, foreign])
    assert (error.code, error.field) == ("NOT_FOUND", ("sandboxIds",))
    for bad in ([], ids * 51):
        async with project.unchanged():
            error = await client.refused("terminateSandboxes", sandboxIds=bad)
        assert (error.code, error.field) == ("INVALID", ("sandboxIds",))
    ended = await client.mutate("terminateSandboxes", "id status", sandboxIds=[*ids, ids[0]])
    assert ended == [{"id": each, "status": "TERMINATED"} for each in ids]
    await other.client().mutate("terminateSandbox", "id", sandboxId=foreign)


@pytest.mark.parametrize("mutation", ["pauseSandbox", "resumeSandbox", "terminateSandbox", "extendSandbox"])
@pytest.mark.parametrize("sandbox_id", ["", "nonsense", "é", "U2FuZGJveDp4", "a" * 10_000, "\0"])
async def test_what_is_no_id_is_not_found(client: Client, mutation: str, sandbox_id: str) -> None:
    values = {"ttlSeconds": 60} if mutation == "extendSandbox" else {}
    error = await client.refused(mutation, sandboxId=sandbox_id, **values)
    assert (error.code, error.field) == ("NOT_FOUND", ("sandboxId",))


async def test_two_pauses_and_two_resumes_at_the_same_moment_leave_one_truth(client: Client) -> None:
    async with client.sandbox() as sandbox_id:
        for mutation, status in (("pauseSandbox", "PAUSED"), ("resumeSandbox", "RUNNING")):
            payloads = await asyncio.gather(
                *(client.payload(mutation, "sandbox { status }", sandboxId=sandbox_id) for _ in range(4))
            )
            for payload in payloads:
                codes = [error["code"] for error in payload["userErrors"]]
                assert codes == ["WRONG_STATE"] or payload["sandbox"] == {"status": status}
            assert (await client.show(sandbox_id))["status"] == status
        assert (await client.run(sandbox_id, "true"))["exitCode"] == 0


@pytest.mark.parametrize("table", [sandbox_states.TRANSITIONS, execution_states.TRANSITIONS])
def test_every_state_can_end_and_no_end_is_left(table: dict[str, frozenset[str]]) -> None:
    ends = {status for status, targets in table.items() if not targets}
    assert ends in (set(execution_states.ENDED), {SandboxStatus.TERMINATED})
    for start in table:
        reached, pending = {start}, [start]
        while pending:
            new = table[pending.pop()] - reached
            reached |= new
            pending += new
        assert reached & ends


def test_every_state_of_a_sandbox_leads_straight_to_its_end() -> None:
    for status, targets in sandbox_states.TRANSITIONS.items():
        assert status is SandboxStatus.TERMINATED or SandboxStatus.TERMINATED in targets


async def set_status(project: Project, status: SandboxStatus) -> None:
    """Put the project's running sandboxes into a state that the API cannot bring about."""
    async with project.product.database.transaction(project.id) as session:
        await session.execute(update(Sandbox).where(Sandbox.status == "RUNNING").values(status=status))
