"""What a sandbox may be made with, and what not."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

BAD_INPUTS: list[tuple[dict[str, Any], str, str]] = [
    ({"ttlSeconds": 0}, "INVALID", "ttlSeconds"),
    ({"ttlSeconds": -1}, "INVALID", "ttlSeconds"),
    ({"ttlSeconds": 86_401}, "INVALID", "ttlSeconds"),
    ({"idleTimeoutSeconds": 0}, "INVALID", "idleTimeoutSeconds"),
    ({"idleTimeoutSeconds": -5}, "INVALID", "idleTimeoutSeconds"),
    ({"name": ""}, "INVALID", "name"),
    ({"name": " \t"}, "INVALID", "name"),
    ({"name": "n" * 201}, "INVALID", "name"),
    ({"name": "a\0b"}, "INVALID", "name"),
    ({"template": "no-such-template"}, "INVALID", "template"),
    ({"template": ""}, "INVALID", "template"),
    ({"template": "a\0b"}, "INVALID", "template"),
    ({"template": "t" * 10_000}, "INVALID", "template"),
    ({"provider": "e2b"}, "PROVIDER_NOT_CONFIGURED", "provider"),
    ({"provider": "nobody"}, "PROVIDER_NOT_CONFIGURED", "provider"),
    ({"provider": ""}, "PROVIDER_NOT_CONFIGURED", "provider"),
    ({"envs": [{"name": "1A", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A B", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A=B", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A\n", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A", "value": "a\0b"}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A", "value": "a" * 200_000}]}, "INVALID", "envs"),
    ({"envs": [{"name": f"A{number}", "value": ""} for number in range(201)]}, "INVALID", "envs"),
    ({"metadata": []}, "INVALID", "metadata"),
    ({"metadata": "text"}, "INVALID", "metadata"),
    ({"metadata": {"key": "a\0b"}}, "INVALID", "metadata"),
    ({"metadata": {"a\0b": 1}}, "INVALID", "metadata"),
    ({"metadata": {"key": "v" * 20_000}}, "INVALID", "metadata"),
    ({"idempotencyKey": ""}, "INVALID", "idempotencyKey"),
    ({"idempotencyKey": "two words"}, "INVALID", "idempotencyKey"),
    ({"idempotencyKey": "k" * 256}, "INVALID", "idempotencyKey"),
    ({"idempotencyKey": "clé"}, "INVALID", "idempotencyKey"),
]


@pytest.mark.parametrize(("given", "code", "field"), BAD_INPUTS, ids=[str(bad)[:60] for bad in BAD_INPUTS])
async def test_a_bad_input_is_one_error_that_names_its_field_and_makes_nothing(
    client: Client, project: Project, given: dict[str, Any], code: str, field: str
) -> None:
    async with project.unchanged():
        error = await client.refused("createSandbox", **given)
    assert (error.code, error.field) == (code, (field,))
    assert error.message


async def test_an_unknown_template_names_those_that_exist(client: Client) -> None:
    error = await client.refused("createSandbox", template="no-such-template")
    assert "base" in error.message


async def test_a_provider_without_an_account_is_listed_as_not_configured(client: Client) -> None:
    answer = await client.query("{ providers { name configured healthy detail } }")
    by_name = {provider["name"]: provider for provider in answer["providers"]}
    assert by_name["local"]["configured"]
    assert by_name["local"]["healthy"]
    assert not by_name["e2b"]["configured"]
    assert not by_name["e2b"]["healthy"]


async def test_the_local_provider_tells_what_holds_on_this_machine(client: Client) -> None:
    answer = await client.query("{ providers { name capabilities } }")
    told = {provider["name"]: provider["capabilities"] for provider in answer["providers"]}
    assert told["e2b"] is None
    assert all(told["local"]["isolation"]["walls"].values())
    assert set(told["local"]["guarantees"]) >= {"own_user", "memory", "processes"}
    assert told["local"]["limits"]["mechanism"]


async def test_what_a_sandbox_is_made_with_is_kept_also_after_its_end(client: Client) -> None:
    metadata = {"owner": "élise ✓", "nested": {"list": [1, 2.5, None, True]}}
    async with client.sandbox(
        name="kept",
        metadata=metadata,
        envs=[{"name": "GREETING", "value": "hello 'world' \n✓"}],
        idleTimeoutSeconds=300,
        onTimeout="PAUSE",
        ttlSeconds=77,
    ) as sandbox_id:
        ran = await client.run(sandbox_id, 'printf %s "$GREETING"')
        assert ran["stdout"] == "hello 'world' \n✓"
    kept = await client.show(
        sandbox_id,
        "name metadata idleTimeoutSeconds onTimeout ttlSeconds status cpuCount memoryMb "
        "executions { nodes { stdout } } terminatedAt",
    )
    assert kept.pop("terminatedAt") is not None
    assert kept == {
        "name": "kept",
        "metadata": metadata,
        "idleTimeoutSeconds": 300,
        "onTimeout": "PAUSE",
        "ttlSeconds": 77,
        "status": "TERMINATED",
        "cpuCount": 2,
        "memoryMb": 1024,
        "executions": {"nodes": [{"stdout": "hello 'world' \n✓"}]},
    }


async def test_a_project_makes_no_more_sandboxes_than_it_may(product: Product) -> None:
    project = await product.new_project(max_sandboxes=2)
    client = project.client()
    async with client.sandbox() as first, client.sandbox():
        async with project.unchanged():
            error = await client.refused("createSandbox")
        assert error.code == "QUOTA_EXCEEDED"
        assert "maxSandboxes (2) is reached: it has 2" in error.message
        # A paused one still counts; an ended one does not.
        await client.mutate("pauseSandbox", "id", sandboxId=first)
        assert (await client.refused("createSandbox")).code == "QUOTA_EXCEEDED"
        await client.mutate("terminateSandbox", "id", sandboxId=first)
        async with client.sandbox():
            pass


async def test_the_last_free_place_is_given_once_however_many_ask_at_the_same_moment(
    product: Product,
) -> None:
    project = await product.new_project(max_sandboxes=3)
    outcomes = await create_at_once(project, 8)
    assert sorted(outcomes) == ["QUOTA_EXCEEDED"] * 5 + ["made"] * 3
    live = await project.client().query("{ sandboxes { nodes { id } } }")
    await project.client().mutate(
        "terminateSandboxes", "id", sandboxIds=[node["id"] for node in live["sandboxes"]["nodes"]]
    )


async def create_at_once(project: Project, count: int) -> list[str]:
    payloads = await asyncio.gather(
        *(
            project.client(web=number % 2).payload("createSandbox", "sandbox { id }")
            for number in range(count)
        )
    )
    return [payload["userErrors"][0]["code"] if payload["userErrors"] else "made" for payload in payloads]
