"""Access while parts are away: nobody gets in whom nobody can check, and no error tells too much."""

import asyncio

import httpx
from sqlalchemy.engine import make_url

from commandcenter.access.scope import Role
from tests.access.test_keys import KEY
from tests.faults.executing import clients_of
from tests.faults.following import again
from tests.faults.stack import CLOUD_KEY, Stack
from tests.fixtures.client import Client, receive, send
from tests.fixtures.product import Project
from tests.fixtures.runtime import RuntimeProcess

REVOKED_SECONDS = 8.0
WHO = "{ viewer { name } }"


async def test_a_revoked_keys_socket_ends_though_the_queue_is_away(stack: Stack, project: Project) -> None:
    administrator = project.client(Role.ADMINISTRATOR, web=0)
    made = await administrator.payload("createApiKey", KEY, name="brief", role="VIEWER")
    client = stack.product.client(made["secret"], web=1)
    async with client.socket() as connection:
        await client.greet(connection)
        await send(connection, id="1", type="subscribe", payload={"query": WHO})
        assert (await receive(connection))["type"] == "next"
        await stack.valkey.kill()
        await administrator.mutate("revokeApiKey", "id", keyId=made["apiKey"]["id"])
        async with asyncio.timeout(REVOKED_SECONDS):
            await connection.wait_closed()
    assert connection.close_code == 4403
    assert [error.code for error in await client.errors(WHO)] == ["UNAUTHENTICATED"]


async def test_while_the_database_is_away_nobody_is_let_in_and_nothing_is_told(
    stack: Stack, project: Project
) -> None:
    clients = clients_of(project, 0, 1)
    stranger = stack.product.client("cc_aaaaaaaa_" + "a" * 43)
    await stack.postgresql.kill()
    answers = [await _everything(client) for client in (*clients, stranger)]
    assert all("INTERNAL" in answer and "data" not in answer for answer in answers[:2]), answers
    assert "viewer" not in answers[2]
    alive = await stack.product.http.get(f"{stack.product.webs[0].address}/healthz")
    assert alive.status_code == 200
    await stack.postgresql.start()
    viewer = await again(clients, lambda client: client.query(WHO), seconds=10)
    assert viewer["viewer"]["name"]
    said = "".join(process.part.said.text for process in stack.processes)
    for secret in _secrets(stack, project):
        assert secret not in said
        assert not any(secret in answer for answer in answers)


async def _everything(client: Client) -> str:
    """All that a request gets, headers too."""
    answer: httpx.Response = await client.http.post(
        f"{client.address}/graphql", json={"query": WHO}, headers=client.authorization
    )
    return f"{answer.headers} {answer.text}"


def _secrets(stack: Stack, project: Project) -> list[str]:
    password = make_url(stack.product.database_url).password
    assert isinstance(password, str)
    return [password, CLOUD_KEY, RuntimeProcess.api_key, *project.keys.values()]
