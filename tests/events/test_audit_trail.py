"""The audit trail: who did what, from where, and what happened by itself; in pages, by kind and sandbox."""

from typing import Any

import pytest

from commandcenter.access.scope import Role
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

EVENTS = """
    query($filter: EventFilter, $first: Int, $after: String) {
        events(filter: $filter, first: $first, after: $after) {
            nodes { id kind actor address data at } totalCount pageInfo { hasNextPage endCursor }
        }
    }
"""


async def events(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    """The events of a page, the oldest first."""
    found = (await client.query(EVENTS, **arguments))["events"]["nodes"]
    return list(reversed(found))


async def test_a_sandboxs_whole_life_is_told_in_order_with_who_and_where(
    client: Client, project: Project
) -> None:
    async with client.sandbox() as sandbox_id:
        await client.run(sandbox_id, "exit 3")
        await client.mutate("pauseSandbox", "id", sandboxId=sandbox_id)
        await client.mutate("resumeSandbox", "id", sandboxId=sandbox_id)
        await client.mutate("extendSandbox", "id", sandboxId=sandbox_id, ttlSeconds=60)
    told = await events(client, filter={"sandboxId": sandbox_id})
    assert [event["kind"] for event in told] == [
        "sandbox.requested",
        "sandbox.started",
        "execution.requested",
        "execution.started",
        "execution.failed",
        "sandbox.paused",
        "sandbox.resumed",
        "sandbox.extended",
        "sandbox.termination_requested",
        "sandbox.terminated",
    ]
    prefix = "_".join(client.key.split("_")[:2])
    assert {(event["actor"], event["address"]) for event in told} == {(f"key:{prefix}", "127.0.0.1")}
    assert told[4]["data"]["exit_code"] == 3
    assert told[-1]["data"]["termination_reason"] == "USER"
    by_sandbox = await client.show(sandbox_id, "events(first: 50) { nodes { id } totalCount }")
    assert [event["id"] for event in reversed(by_sandbox["events"]["nodes"])] == [e["id"] for e in told]


async def test_what_happens_by_itself_says_which_task_did_it(client: Client) -> None:
    made = await client.create_sandbox(ttlSeconds=1)
    async with client.subscribe(
        "subscription($id: ID) { sandboxChanged(sandboxId: $id) { status } }", id=made["id"]
    ) as changes:
        async for sandbox in changes:
            if sandbox["status"] == "TERMINATED":
                break
    told = await events(client, filter={"sandboxId": made["id"], "kind": ["sandbox.terminated"]})
    assert [(event["actor"].split(":")[0], event["data"]["termination_reason"]) for event in told] == [
        ("system", "TTL")
    ]


async def test_a_refusal_of_the_provider_is_told_too(client: Client) -> None:
    await client.refused("createSandbox", template="no-such-template")
    [told] = await events(client, filter={"kind": ["sandbox.refused"]})
    assert told["data"]["code"] == "INVALID"


async def test_changes_of_keys_and_limits_are_told_without_secrets(project: Project) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    made = await administrator.payload("createApiKey", "apiKey { id } secret", name="told", role="VIEWER")
    await administrator.mutate("revokeApiKey", "id", keyId=made["apiKey"]["id"])
    await administrator.mutate("updateProject", "id", maxSandboxes=98)
    kinds = ["key.created", "key.revoked", "project.updated"]
    told = await events(administrator, filter={"kind": kinds}, first=3)
    assert [event["kind"] for event in told] == kinds
    assert told[2]["data"]["max_sandboxes"] == 98
    assert made["secret"] not in repr(told)


async def test_pages_are_the_whole_trail_once(product: Product) -> None:
    project = await product.new_project()
    client = project.client(Role.ADMINISTRATOR)
    for number in range(7):
        await client.mutate("updateProject", "id", maxSandboxes=number)
    seen, after = [], None
    while True:
        found = (await client.query(EVENTS, first=3, after=after))["events"]
        seen += [event["id"] for event in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    # Three keys were made with the project.
    assert len(seen) == len(set(seen)) == found["totalCount"] == 10


@pytest.mark.parametrize("selection", [{"kind": ["\0"]}, {"sandboxId": "nonsense"}])
async def test_a_filter_that_means_nothing_is_refused(client: Client, selection: dict[str, Any]) -> None:
    [error] = await client.errors(EVENTS, filter=selection)
    assert error.code in ("INVALID", "NOT_FOUND")
