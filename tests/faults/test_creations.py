"""Intent first: whatever happens between the wish for a sandbox and its answer, there is one, or none."""

from typing import Any

import pytest

from tests.faults.cloud import CREATE, Fault, Refusal
from tests.faults.executing import clients_of
from tests.faults.following import again
from tests.faults.providing import at_provider, until
from tests.faults.stack import Stack
from tests.fixtures.client import Client
from tests.fixtures.product import Project

SETTLED_SECONDS = 20.0


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


async def require_one_sandbox(stack: Stack, project: Project, made: dict[str, Any]) -> None:
    """The provider has the sandbox, and nothing else of the project."""

    async def is_alone() -> bool:
        return len(await at_provider(stack, project, "e2b")) == 1

    await until(is_alone, "one sandbox at the provider", seconds=SETTLED_SECONDS)
    client = project.client(web=1)
    assert (await client.run(made["id"], "echo alive"))["stdout"] == "alive\n"
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])
    assert await at_provider(stack, project, "e2b") == []


@pytest.mark.parametrize(
    "fault",
    [
        Refusal(429, retry_after_seconds=1),
        Refusal(500),
        Refusal(502),
        Refusal(503, retry_after_seconds=1),
    ],
    ids=str,
)
async def test_a_creation_that_the_provider_fails_ends_as_one_sandbox_for_one_key(
    stack: Stack, project: Project, fault: Fault
) -> None:
    rule = stack.cloud.next(fault, method="POST", path=CREATE)
    made = await create_until_it_runs(clients_of(project, 0, 1), "once")
    assert rule.count == 1
    await require_one_sandbox(stack, project, made)
