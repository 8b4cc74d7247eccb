"""Intent first: whatever happens between the wish for a sandbox and its answer, there is one, or none."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.faults.cloud import CREATE, Fault, LostAnswer, Refusal
from tests.faults.executing import clients_of
from tests.faults.following import again
from tests.faults.providing import at_provider, until
from tests.faults.stack import Stack
from tests.fixtures.client import Client
from tests.fixtures.product import Project

SETTLED_SECONDS = 20.0
FAULTS: tuple[Fault, ...] = (
    LostAnswer(),
    Refusal(429, retry_after_seconds=1),
    Refusal(500),
    Refusal(502),
    Refusal(503, retry_after_seconds=1),
)


async def create_until_it_runs(clients: list[Client], key: str) -> dict[str, Any]:
    """A sandbox in the cloud, asked for again with the same key until it runs."""

    async def ask(client: Client) -> dict[str, Any]:
        payload = await client.payload(
            "createSandbox",
            "sandbox { id status statusReason }",
            provider="e2b",
            ttlSeconds=300,
            idempotencyKey=key,
        )
        sandbox: dict[str, Any] | None = payload["sandbox"]
        if sandbox is None or sandbox["status"] != "RUNNING":
            raise TimeoutError(payload)
        return sandbox

    return await again(clients, ask, seconds=SETTLED_SECONDS)


async def require_these_alone(stack: Stack, project: Project, made: Sequence[dict[str, Any]]) -> None:
    """The provider has these sandboxes, which work, and nothing else of the project."""

    async def are_alone() -> bool:
        return len(await at_provider(stack, project, "e2b")) == len(made)

    await until(are_alone, f"{len(made)} sandboxes at the provider", seconds=SETTLED_SECONDS)
    client = project.client(web=1)
    for sandbox in made:
        assert (await client.run(sandbox["id"], "echo alive"))["stdout"] == "alive\n"
        await client.mutate("terminateSandbox", "id", sandboxId=sandbox["id"])
    assert await at_provider(stack, project, "e2b") == []


async def test_creations_that_the_provider_fails_end_as_one_sandbox_for_each_key(
    stack: Stack, project: Project
) -> None:
    rules = [stack.cloud.next(fault, method="POST", path=CREATE) for fault in FAULTS]
    clients = clients_of(project, 0, 1)
    made = await asyncio.gather(
        *(create_until_it_runs(clients, f"key-{number}") for number in range(len(FAULTS)))
    )
    assert [rule.count for rule in rules] == [1] * len(FAULTS)
    assert len({sandbox["id"] for sandbox in made}) == len(FAULTS)
    await require_these_alone(stack, project, made)


async def test_a_web_process_that_dies_while_a_sandbox_is_made_leaves_no_orphan_and_no_hole(
    stack: Stack, project: Project
) -> None:
    rule = stack.cloud.next(LostAnswer(after_seconds=1), method="POST", path=CREATE)
    asked = asyncio.create_task(
        project.client(web=0).payload(
            "createSandbox", "sandbox { id }", provider="e2b", ttlSeconds=300, idempotencyKey="once"
        )
    )
    await rule.met.wait()
    await until(lambda: _is_made(stack, project), "the provider's sandbox", seconds=5)
    await stack.webs[0].part.kill()
    with pytest.raises(httpx.HTTPError):
        await asked
    made = await create_until_it_runs(clients_of(project, 1), "once")
    await require_these_alone(stack, project, [made])


async def _is_made(stack: Stack, project: Project) -> bool:
    return len(await at_provider(stack, project, "e2b")) == 1
