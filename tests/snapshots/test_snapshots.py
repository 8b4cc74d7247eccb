"""Snapshots keep files byte for byte, belong to one project, and are made once."""

import asyncio

import pytest

from commandcenter.access.scope import Role
from commandcenter.identifiers import new_id
from commandcenter.snapshots.names import name_at_provider
from commandcenter.snapshots.records import Snapshot
from resolvers.ids import global_id
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

SNAPSHOT = "id name status statusReason provider providerSnapshotId template createdBy sandbox { id }"
FILES = """
    mkdir -p deep/er && head -c 3000000 /dev/urandom > deep/er/random && printf '\\0\\377' > odd
    ln -s deep/er/random link && chmod 750 deep
"""
SUMS = "sha256sum deep/er/random odd link; stat -c %a deep; readlink link"


async def test_a_restored_sandbox_has_the_files_byte_for_byte(client: Client) -> None:
    async with client.sandbox(name="source") as source:
        await client.run(source, FILES)
        before = (await client.run(source, SUMS))["stdout"]
        taken = await client.mutate("createSnapshot", SNAPSHOT, sandboxId=source, name="before the change")
        await client.run(source, "rm -r deep odd; echo other > odd")
        shown = await client.show(source, "snapshots { nodes { id } totalCount }")
    assert len(before.split()) == 8
    assert (taken["status"], taken["name"], taken["statusReason"]) == ("READY", "before the change", None)
    assert (taken["sandbox"], taken["provider"]) == ({"id": source}, "local")
    assert taken["createdBy"].startswith("key:cc_")
    assert shown["snapshots"] == {"nodes": [{"id": taken["id"]}], "totalCount": 1}
    # By the snapshot's id, and by its name at the provider.
    for template in (taken["id"], taken["providerSnapshotId"]):
        async with client.sandbox(template=template) as restored:
            assert (await client.run(restored, SUMS))["stdout"] == before
    found = await client.query(
        "query($id: ID!) { node(id: $id) { id } snapshot(id: $id) { status } }", id=taken["id"]
    )
    assert found == {"node": {"id": taken["id"]}, "snapshot": {"status": "READY"}}
    await client.mutate("deleteSnapshot", "id", snapshotId=taken["id"])
    assert (await client.query("{ snapshots { totalCount } }"))["snapshots"]["totalCount"] == 0
    assert (await client.refused("createSandbox", template=taken["id"])).code == "NOT_FOUND"
    assert (await client.refused("deleteSnapshot", snapshotId=taken["id"])).code == "NOT_FOUND"


async def test_another_projects_snapshot_is_answered_like_one_that_is_not_there(
    product: Product, client: Client, sandbox_id: str
) -> None:
    stranger = (await product.new_project()).client(Role.ADMINISTRATOR)
    taken = await client.mutate("createSnapshot", SNAPSHOT, sandboxId=sandbox_id)
    record_id = new_id()
    name = taken["providerSnapshotId"]
    absent_name = name.replace(name.partition(":")[0][-32:], record_id.hex)
    assert absent_name != name
    for foreign, absent in (
        (taken["id"], global_id("Snapshot", record_id)),
        (name, absent_name),
        (name.upper(), absent_name.upper()),
    ):
        answers = [await stranger.refused("createSandbox", template=each) for each in (foreign, absent)]
        assert answers[0] == answers[1]
        assert (answers[0].code, answers[0].field) == ("NOT_FOUND", ("template",))
    await client.mutate("deleteSnapshot", "id", snapshotId=taken["id"])


async def test_the_same_key_is_the_same_snapshot_also_at_the_same_moment(
    client: Client, project: Project, sandbox_id: str
) -> None:
    key = str(new_id())
    taken = await asyncio.gather(
        *(
            project.client(web=number % 2).mutate(
                "createSnapshot", "id status", sandboxId=sandbox_id, idempotencyKey=key
            )
            for number in range(4)
        )
    )
    assert {each["status"] for each in taken} == {"READY"}
    assert len({each["id"] for each in taken}) == 1
    conflict = await client.refused(
        "createSnapshot", sandboxId=sandbox_id, idempotencyKey=key, name="another"
    )
    assert conflict.code == "CONFLICT"
    await client.mutate("deleteSnapshot", "id", snapshotId=taken[0]["id"])


async def test_a_project_keeps_as_many_as_its_limit_says(product: Product) -> None:
    project = await product.new_project(max_snapshots=1)
    client = project.client()
    async with client.sandbox() as sandbox_id:
        first = await client.mutate("createSnapshot", "id", sandboxId=sandbox_id)
        async with project.unchanged():
            refused = await client.refused("createSnapshot", sandboxId=sandbox_id)
        assert refused.code == "QUOTA_EXCEEDED"
        assert "maxSnapshots (1)" in refused.message
        await client.mutate("deleteSnapshot", "id", snapshotId=first["id"])
        second = await client.mutate("createSnapshot", "id", sandboxId=sandbox_id)
        await client.mutate("deleteSnapshot", "id", snapshotId=second["id"])
        await client.mutate("pauseSandbox", "id", sandboxId=sandbox_id)
        async with project.unchanged():
            assert (await client.refused("createSnapshot", sandboxId=sandbox_id)).code == "WRONG_STATE"


async def test_a_snapshot_that_a_paused_sandbox_needs_is_not_deleted(client: Client, sandbox_id: str) -> None:
    taken = await client.mutate("createSnapshot", "id", sandboxId=sandbox_id)
    async with client.sandbox(template=taken["id"]) as restored:
        await client.mutate("pauseSandbox", "id", sandboxId=restored)
        refused = await client.refused("deleteSnapshot", snapshotId=taken["id"])
        assert refused.code == "INVALID"
        assert "paused sandboxes" in refused.message
        listed = await client.query("{ snapshots { nodes { id } } }")
        assert {"id": taken["id"]} in listed["snapshots"]["nodes"]
    await client.mutate("deleteSnapshot", "id", snapshotId=taken["id"])


async def test_a_snapshot_of_another_provider_is_not_restored_here(client: Client, sandbox_id: str) -> None:
    taken = await client.mutate("createSnapshot", "id", sandboxId=sandbox_id)
    refused = await client.refused("createSandbox", template=taken["id"], provider="e2b")
    assert (refused.code, refused.field) == ("INVALID", ("provider",))
    await client.mutate("deleteSnapshot", "id", snapshotId=taken["id"])


@pytest.mark.parametrize("name", ["x" * 201, "\0"])
async def test_a_name_that_cannot_be_is_refused(
    client: Client, project: Project, sandbox_id: str, name: str
) -> None:
    async with project.unchanged():
        assert (await client.refused("createSnapshot", sandboxId=sandbox_id, name=name)).field == ("name",)


def test_names_at_the_provider_fit_its_rules() -> None:
    name = name_at_provider(new_id(), Snapshot(id=new_id()))
    assert len(name) <= 64
    assert name.replace("-", "").isalnum()
    assert name == name.lower()
