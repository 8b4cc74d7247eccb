"""Keys: shown once, of a role, until they expire or are revoked, and then at once no more."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from commandcenter.access.scope import Role
from commandcenter.clock import now
from tests.fixtures.client import Client, receive, send
from tests.fixtures.product import Project

KEY = "apiKey { id prefix role expiresAt revokedAt } secret"


async def refused_code(client: Client) -> str:
    """The code with which a key's request is refused."""
    [error] = await client.errors("{ viewer { name } }")
    return error.code


def with_key(project: Project, key: str, web: int = 0) -> Client:
    return project.product.client(key, web=web)


async def test_a_new_key_works_with_its_role_until_it_is_revoked(project: Project) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    made = await administrator.payload("createApiKey", KEY, name="robot", role="VIEWER")
    robot = with_key(project, made["secret"])
    assert made["secret"].startswith(made["apiKey"]["prefix"])
    assert await robot.query("{ viewer { name role } }") == {"viewer": {"name": "robot", "role": "VIEWER"}}
    revoked = await administrator.mutate("revokeApiKey", "revokedAt", keyId=made["apiKey"]["id"])
    assert revoked["revokedAt"]
    for web in (0, 1):
        assert await refused_code(with_key(project, made["secret"], web)) == "UNAUTHENTICATED"
    again = await administrator.mutate("revokeApiKey", "revokedAt", keyId=made["apiKey"]["id"])
    assert again == revoked


async def test_no_secret_is_stored_or_shown_again(project: Project) -> None:
    made = await project.client(Role.ADMINISTRATOR).payload("createApiKey", KEY, name="once", role="VIEWER")
    assert made["secret"] not in repr(await project.rows())
    assert made["secret"].removeprefix(made["apiKey"]["prefix"]) not in repr(await project.rows())
    answer = await project.client(Role.ADMINISTRATOR).query(
        "{ project { apiKeys { nodes { name prefix } } } events { nodes { data } } }"
    )
    assert made["secret"] not in repr(answer)


async def test_an_expired_key_is_refused_and_its_socket_ends(project: Project) -> None:
    _, secret = await project.new_key(Role.VIEWER, now() + timedelta(seconds=1.5))
    client = with_key(project, secret)
    async with client.socket() as connection:
        await client.greet(connection)
        await send(
            connection, id="1", type="subscribe", payload={"query": "subscription { sandboxChanged { id } }"}
        )
        async with asyncio.timeout(10):
            await connection.wait_closed()
    assert connection.close_code == 4403
    assert await refused_code(client) == "UNAUTHENTICATED"


@pytest.mark.parametrize("web", [0, 1])
async def test_a_revoked_keys_sockets_end_in_every_process(project: Project, web: int) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    made = await administrator.payload("createApiKey", KEY, name="brief", role="VIEWER")
    client = with_key(project, made["secret"], web)
    async with client.socket() as connection:
        await client.greet(connection)
        await send(connection, id="1", type="subscribe", payload={"query": "{ viewer { name } }"})
        assert (await receive(connection))["type"] == "next"
        await administrator.mutate("revokeApiKey", "id", keyId=made["apiKey"]["id"])
        async with asyncio.timeout(5):
            await connection.wait_closed()
    assert connection.close_code == 4403


@pytest.mark.parametrize("key", ["nonsense", "cc_aaaaaaaa_", "cc_aaaaaaaa_" + "a" * 43, "k" * 5000])
async def test_what_is_no_key_is_refused(project: Project, key: str) -> None:
    assert await refused_code(with_key(project, key)) == "UNAUTHENTICATED"


async def test_a_key_is_taken_whole_or_not_at_all(project: Project) -> None:
    key = project.keys[Role.VIEWER]
    for near in (key[:-1], key + "a", key.upper(), key.swapcase()):
        assert await refused_code(with_key(project, near)) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
async def test_a_bad_key_is_not_made(project: Project, given: dict[str, Any], field: str) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    async with project.unchanged():
        payload = await administrator.payload("createApiKey", KEY, **{"name": "k", "role": "VIEWER", **given})
    assert (payload["apiKey"], payload["secret"]) == (None, None)
    [error] = payload["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID", [field])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"defaultTtlSeconds": 0}, "defaultTtlSeconds"),
        ({"maxTtlSeconds": 2_592_001}, "maxTtlSeconds"),
        ({"defaultTtlSeconds": 100, "maxTtlSeconds": 99}, "defaultTtlSeconds"),
        ({"maxSandboxes": -1}, "maxSandboxes"),
        ({"maxSandboxes": 100_001}, "maxSandboxes"),
        ({"maxParallelForks": -1}, "maxParallelForks"),
        ({"maxRequestsPerMinute": 0}, "maxRequestsPerMinute"),
        ({"maxPointsPerMinute": 19_999}, "maxPointsPerMinute"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "n" * 101}, "name"),
    ],
)
async def test_a_bad_limit_is_not_set(project: Project, given: dict[str, Any], field: str) -> None:
    async with project.unchanged():
        error = await project.client(Role.ADMINISTRATOR).refused("updateProject", **given)
    assert (error.code, error.field) == ("INVALID", (field,))


async def test_a_limit_that_is_set_holds_and_leaves_the_others(project: Project) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    limits = "defaultTtlSeconds maxTtlSeconds maxSandboxes maxParallelForks name"
    before = (await administrator.query(f"{{ project {{ {limits} }} }}"))["project"]
    assert (before["defaultTtlSeconds"], before["maxSandboxes"], before["maxParallelForks"]) == (3600, 100, 5)
    after = await administrator.mutate("updateProject", limits, maxSandboxes=99)
    assert after == {**before, "maxSandboxes": 99}


async def test_two_projects_do_not_get_one_name(project: Project) -> None:
    instance = project.product.administrator
    name = f"named {project.id}"
    await instance.mutate("createProject", "id", name=name)
    error = await instance.refused("createProject", name=name)
    assert (error.code, error.field) == ("CONFLICT", ("name",))
