"""Every address beside GraphQL: nobody without a key, and nothing of another project."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute

from commandcenter.access.scope import Role
from commandcenter.identifiers import new_id
from resolvers.ids import global_id
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project
from web.application import build_application
from web.parts import Parts

# Whoever comes here shows what it may by the key alone, or needs none.
WITHOUT_OBJECTS = {
    "/",
    "/graphql",
    "/sign-in",
    "/sign-out",
    "/healthz",
    "/readyz",
    "/metrics",
    "/playground/assets",
}
# How each of the others is asked for an object by its id.
WITH_OBJECTS = {
    "/executions/{execution_id}/logs/{stream}": ("GET", "/executions/{execution}/logs/stdout"),
    "/files": ("PUT", "/files?sandboxId={sandbox}&path=/tmp/file"),
    "/files/{token}": ("GET", None),
}
DOORS = [door for door in WITH_OBJECTS.values() if door[1] is not None]


def test_every_address_is_known_here() -> None:
    @asynccontextmanager
    async def never() -> AsyncIterator[Parts]:
        raise AssertionError
        yield

    paths = {
        route.path
        for route in build_application(never).routes
        if isinstance(route, (Route, WebSocketRoute, Mount))
    }
    assert paths - WITHOUT_OBJECTS == set(WITH_OBJECTS), "say how the new one is tried"


@pytest.fixture(scope="module")
async def ids(client: Client, sandbox_id: str) -> dict[str, str]:
    """A sandbox and an execution of the module's project."""
    ran = await client.run(sandbox_id, "echo hushhush")
    return {"sandbox": sandbox_id, "execution": ran["id"]}


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_a_foreign_object_is_answered_like_one_that_nobody_has(
    product: Product, project: Project, ids: dict[str, str], door: tuple[str, str]
) -> None:
    other = (await product.new_project()).client(Role.ADMINISTRATOR)
    absent = {"sandbox": global_id("Sandbox", new_id()), "execution": global_id("Execution", new_id())}
    async with project.unchanged():
        foreign_answer = await ask(other, door, ids)
    absent_answer = await ask(other, door, absent)
    assert foreign_answer.status_code == 404
    assert (foreign_answer.status_code, foreign_answer.content) == (
        absent_answer.status_code,
        absent_answer.content,
    )
    assert (await ask(project.client(), door, ids)).is_success


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.parametrize("key", ["", "cc_aaaaaaaa_" + "a" * 43])
async def test_nobody_comes_in_without_a_key(
    project: Project, client: Client, ids: dict[str, str], door: tuple[str, str], key: str
) -> None:
    stranger = Client(client.address, key or "none", client.http)
    async with project.unchanged():
        assert (await ask(stranger, door, ids)).status_code == 401


async def test_what_was_not_signed_here_opens_no_file(client: Client) -> None:
    for token in ("x", "a.b.c", quote("é"), "A" * 5000):
        response = await client.http.get(f"{client.address}/files/{token}")
        assert response.status_code in (403, 404), token


async def ask(client: Client, door: tuple[str, str], ids: Mapping[str, str]) -> httpx.Response:
    """Ask at an address for objects by their ids."""
    method, path = door
    content = b"new" if method == "PUT" else None
    return await client.http.request(
        method, client.address + path.format(**ids), content=content, headers=client.authorization
    )
