"""What each role may do, for every mutation that the schema has."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from commandcenter.access.scope import Role
from commandcenter.identifiers import new_id
from commandcenter.keys.records import ApiKey
from resolvers.ids import global_id
from tests.access.operations import Operation, operations
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

FOR_ADMINISTRATORS = {
    "createApiKey",
    "revokeApiKey",
    "createProject",
    "updateProject",
    "setSecret",
    "deleteSecret",
}
MUTATIONS = list(operations("mutation"))


@pytest.fixture(scope="module")
async def ids(product: Product, project: Project, client: Client) -> AsyncIterator[dict[str, str]]:
    """One of everything, of the project itself."""
    async with client.sandbox() as sandbox_id:
        terminal = await client.mutate("openTerminal", "id", sandboxId=sandbox_id, command="read line")
        async with product.database.transaction(project.id) as session:
            key = (await session.scalars(select(ApiKey).limit(1))).one()
        yield {
            "Sandbox": sandbox_id,
            "Execution": terminal["id"],
            "Snapshot": global_id("Snapshot", new_id()),
            "ApiKey": global_id("ApiKey", key.id),
        }


@pytest.mark.parametrize("operation", MUTATIONS, ids=str)
async def test_a_viewer_changes_nothing(project: Project, ids: dict[str, str], operation: Operation) -> None:
    await see_forbidden(project, Role.VIEWER, operation, ids)


@pytest.mark.parametrize(
    "operation", [each for each in MUTATIONS if each.name in FOR_ADMINISTRATORS], ids=str
)
async def test_an_operator_changes_neither_keys_nor_limits_nor_secrets(
    project: Project, ids: dict[str, str], operation: Operation
) -> None:
    await see_forbidden(project, Role.OPERATOR, operation, ids)


async def test_a_projects_administrator_makes_and_renames_no_projects(project: Project) -> None:
    client = project.client(Role.ADMINISTRATOR)
    for mutation in ("createProject", "updateProject"):
        async with project.unchanged():
            assert (await client.refused(mutation, name="another")).code == "FORBIDDEN"
    for document in ("{ projects { totalCount } }", "{ projects { nodes { id } } }"):
        [error] = await client.errors(document)
        assert error.code == "FORBIDDEN"


async def test_only_administrators_see_keys(project: Project) -> None:
    document = "{ project { apiKeys { nodes { prefix role } totalCount } } }"
    for role in (Role.VIEWER, Role.OPERATOR):
        [error] = await project.client(role).errors(document)
        assert error.code == "FORBIDDEN"
    answer = await project.client(Role.ADMINISTRATOR).query(document)
    assert answer["project"]["apiKeys"]["totalCount"] >= 3


async def test_a_viewer_sees_everything_else(project: Project, ids: dict[str, str]) -> None:
    viewer = project.client(Role.VIEWER)
    assert (await viewer.show(ids["Sandbox"]))["status"] == "RUNNING"
    assert (await viewer.show_execution(ids["Execution"], "status"))["status"] == "RUNNING"
    assert (await viewer.query("{ events { totalCount } }"))["events"]["totalCount"] > 0


async def see_forbidden(project: Project, role: Role, operation: Operation, ids: dict[str, str]) -> None:
    async with project.unchanged():
        answer = await project.client(role).answer(operation.document, **operation.variables(ids))
    [payload] = answer["data"].values()
    assert [error["code"] for error in payload["userErrors"]] == ["FORBIDDEN"]
