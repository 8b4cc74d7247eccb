"""The same idempotency key twice is one sandbox: in the records and at the provider."""

import asyncio

from commandcenter.identifiers import new_id
from tests.fixtures.client import SANDBOX, Client
from tests.fixtures.product import Project
from tests.sandboxes.at_provider import provider_sandboxes


async def test_the_same_key_twice_is_the_same_sandbox(client: Client, project: Project) -> None:
    key = str(new_id())
    first = await client.create_sandbox(name="once", idempotencyKey=key)
    async with project.unchanged():
        again = await project.client(web=1).create_sandbox(name="once", idempotencyKey=key)
    assert again == first
    await client.mutate("terminateSandbox", "id", sandboxId=first["id"])


async def test_ten_requests_at_the_same_moment_make_one_sandbox_here_and_at_the_provider(
    project: Project,
) -> None:
    key = str(new_id())
    answers = await asyncio.gather(
        *(project.client(web=number % 2).create_sandbox(idempotencyKey=key) for number in range(10))
    )
    assert len({answer["id"] for answer in answers}) == 1
    assert {answer["status"] for answer in answers} == {"RUNNING"}
    rows = await project.rows("sandboxes")
    [row] = [row for row in rows["sandboxes"] if row["idempotency_key"] == key]
    at_provider = [
        record
        for record in await provider_sandboxes(project)
        if record["metadata"]["commandcenter.sandbox"] == str(row["id"])
    ]
    assert [record["sandboxID"] for record in at_provider] == [row["provider_sandbox_id"]]
    await project.client().mutate("terminateSandbox", "id", sandboxId=answers[0]["id"])


async def test_a_key_with_other_arguments_is_a_conflict(client: Client, project: Project) -> None:
    key = str(new_id())
    async with client.sandbox(name="one", idempotencyKey=key):
        async with project.unchanged():
            error = await client.refused("createSandbox", name="other", idempotencyKey=key)
        assert (error.code, error.field) == ("CONFLICT", ("idempotencyKey",))


async def test_a_key_stands_for_its_sandbox_also_after_its_end(client: Client) -> None:
    key = str(new_id())
    async with client.sandbox(idempotencyKey=key) as sandbox_id:
        pass
    again = await client.mutate("createSandbox", SANDBOX, idempotencyKey=key)
    assert (again["id"], again["status"]) == (sandbox_id, "TERMINATED")


async def test_a_key_of_a_refused_request_is_free_again(client: Client) -> None:
    key = str(new_id())
    for _ in range(2):
        error = await client.refused("createSandbox", template="no-such", idempotencyKey=key)
        assert (error.code, error.field) == ("INVALID", ("template",))
    async with client.sandbox(idempotencyKey=key):
        pass


async def test_projects_do_not_share_keys(project: Project) -> None:
    other = await project.product.new_project()
    key = str(new_id())
    async with (
        project.client().sandbox(idempotencyKey=key) as one,
        other.client().sandbox(idempotencyKey=key) as another,
    ):
        assert one != another
