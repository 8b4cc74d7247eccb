"""What the API shows of secrets: everything but their values."""

import pytest

from commandcenter.access.scope import Role
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

VALUE = "correct horse battery staple"
SECRET = "id name createdBy createdAt updatedAt lastUsedAt"


@pytest.fixture(scope="module")
def administrator(project: Project) -> Client:
    return project.client(Role.ADMINISTRATOR)


async def test_a_secret_is_made_replaced_listed_found_and_removed(product: Product) -> None:
    project = await product.new_project()
    administrator, viewer = project.client(Role.ADMINISTRATOR), project.client(Role.VIEWER)
    made = await administrator.mutate("setSecret", SECRET, name="TOKEN", value=VALUE)
    assert made["name"] == "TOKEN"
    assert made["createdBy"].startswith("key:")
    again = await administrator.mutate("setSecret", SECRET, name="TOKEN", value=VALUE * 2)
    assert again["id"] == made["id"]
    assert again["updatedAt"] > made["updatedAt"]
    await administrator.mutate("setSecret", SECRET, name="OTHER", value=VALUE)
    shown = (await viewer.query(f"{{ secrets {{ nodes {{ {SECRET} }} totalCount }} }}"))["secrets"]
    assert [node["name"] for node in shown["nodes"]] == ["OTHER", "TOKEN"]
    node = await viewer.query("query($id: ID!) { node(id: $id) { ... on Secret { name } } }", id=made["id"])
    assert node == {"node": {"name": "TOKEN"}}
    gone = await administrator.mutate("deleteSecret", SECRET, name="TOKEN")
    assert gone["id"] == made["id"]
    assert (await administrator.refused("deleteSecret", name="TOKEN")).code == "NOT_FOUND"
    assert (await viewer.query("{ secrets { totalCount } }"))["secrets"]["totalCount"] == 1


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "Ä", "A\0", "A" * 201])
async def test_what_no_variable_can_be_called_is_refused(administrator: Client, name: str) -> None:
    for mutation, values in (("setSecret", {"value": VALUE}), ("deleteSecret", {})):
        error = await administrator.refused(mutation, name=name, **values)
        assert (error.code, error.field) == ("INVALID", ("name",))


@pytest.mark.parametrize("value", ["", "7 bytes", " 7 bytes \n", "with\0nul in it", "x" * 65_537])
async def test_a_value_that_cannot_be_given_or_masked_is_refused_and_not_repeated(
    project: Project, administrator: Client, value: str
) -> None:
    async with project.unchanged():
        error = await administrator.refused("setSecret", name="TOKEN", value=value)
    assert (error.code, error.field) == ("INVALID", ("value",))
    assert not value or value not in error.message
