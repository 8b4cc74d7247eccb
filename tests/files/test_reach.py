"""What files can't be used for: reaching out of a sandbox_id, into another project, or past a role."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandcenter.access.scope import Role
from tests.files.transfers import FILE, code_of, download, file_at, names_below, upload, url_of
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

MARK = "only the host may know this"

CHANGES = {
    "writeFile": {"path": "file", "text": "x"},
    "makeDirectory": {"path": "new"},
    "moveFile": {"path": "file", "destination": "new"},
    "removeFile": {"path": "file"},
}


@pytest.fixture
def secret(short_folder: Path) -> Iterator[Path]:
    """A file of the host that everybody on the host may read and write."""
    path = short_folder / "host-secret"
    path.write_text(MARK)
    path.chmod(0o666)
    yield path
    path.unlink()


async def test_no_link_and_no_path_leads_out_of_a_sandbox(
    client: Client, sandbox_id: str, folder: str, secret: Path
) -> None:
    await client.run(
        sandbox_id,
        f"ln -s {secret} file; ln -s {secret.parent} dir; ln -s /proc/1/root{secret} proc; "
        f"ln -s ../../../../../../../..{secret} dots; ln -s / root",
        cwd=folder,
    )
    assert set(await names_below(client, sandbox_id, folder)) == {"file", "dir", "proc", "dots", "root"}
    ways = ["file", "proc", "dots", f"dir/{secret.name}", f"root{secret}", f"../../../../../../..{secret}"]
    paths = [*(f"{folder}/{way}" for way in ways), str(secret)]
    document = (
        "query($id: ID!, $path: String!) { sandbox(id: $id) { file(path: $path) { kind text downloadUrl } } }"
    )
    for path in paths:
        seen = await client.answer(document, id=sandbox_id, path=path)
        assert MARK not in str(seen), path
        if (found := seen["data"]["sandbox"]["file"]) is not None:
            assert found["kind"] == "SYMLINK"
            answer = await client.http.get(found["downloadUrl"])
            assert (answer.status_code in (403, 404), MARK in answer.text) == (True, False)
    for path in paths:
        await client.payload(
            "writeFile", "file { path }", sandboxId=sandbox_id, path=path, text="overwritten"
        )
    assert await asyncio.to_thread(secret.read_text) == MARK


async def test_a_viewer_looks_and_changes_nothing(project: Project, sandbox_id: str, folder: str) -> None:
    operator, viewer = project.client(), project.client(Role.VIEWER)
    await operator.mutate("writeFile", FILE, sandboxId=sandbox_id, path=f"{folder}/file", text="kept")
    for mutation, values in CHANGES.items():
        named = {
            name: f"{folder}/{value}" if name in ("path", "destination") else value
            for name, value in values.items()
        }
        assert (await viewer.refused(mutation, sandboxId=sandbox_id, **named)).code == "FORBIDDEN"
    refused = await upload(viewer, sandbox_id, f"{folder}/file", b"changed")
    assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
    assert await names_below(viewer, sandbox_id, folder) == ["file"]
    assert await file_at(viewer, sandbox_id, f"{folder}/file", "text") == {"text": "kept"}
    assert (await download(viewer, sandbox_id, f"{folder}/file")).text == "kept"


async def test_another_project_finds_nothing(
    product: Product, client: Client, sandbox_id: str, folder: str
) -> None:
    await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=f"{folder}/file", text="kept")
    stranger = (await product.new_project()).client()
    for mutation, values in CHANGES.items():
        error = await stranger.refused(mutation, sandboxId=sandbox_id, **values)
        assert (error.code, error.field) == ("NOT_FOUND", ("sandboxId",))
    refused = await upload(stranger, sandbox_id, f"{folder}/file", b"changed")
    assert (refused.status_code, code_of(refused)) == (404, "NOT_FOUND")
    document = f'{{ sandbox(id: "{sandbox_id}") {{ files {{ name }} }} }}'
    assert await stranger.query(document) == {"sandbox": None}
    assert await file_at(client, sandbox_id, f"{folder}/file", "text") == {"text": "kept"}


@pytest.mark.parametrize(("end", "state"), [("pauseSandbox", "PAUSED"), ("terminateSandbox", "TERMINATED")])
async def test_a_sandbox_that_does_not_run_has_no_files_to_reach(
    client: Client, end: str, state: str
) -> None:
    async with client.sandbox() as sandbox_id:
        await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path="file", text="x")
        url = await url_of(client, sandbox_id, "file")
        await client.mutate(end, "id", sandboxId=sandbox_id)
        for mutation, values in CHANGES.items():
            error = await client.refused(mutation, sandboxId=sandbox_id, **values)
            assert (error.code, error.field) == ("WRONG_STATE", ("sandboxId",))
            assert state in error.message
        for answer in (await upload(client, sandbox_id, "file", b"x"), await client.http.get(url)):
            assert (answer.status_code, code_of(answer)) == (409, "WRONG_STATE")
        for field in ("files", 'file(path: "file")'):
            [failed] = await client.errors(f'{{ sandbox(id: "{sandbox_id}") {{ {field} {{ name }} }} }}')
            assert failed.code == "WRONG_STATE"
