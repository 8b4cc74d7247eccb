import hashlib
import os

import pytest

from commandcenter.access.scope import Role
from tests.files.transfers import code_of
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project


async def test_output_is_downloaded_byte_for_byte_from_any_process(
    project: Project, client: Client, sandbox_id: str
) -> None:
    command = "head -c 20000000 /dev/urandom | tee data; printf '\\0\\377end' >&2"
    execution = await client.run(sandbox_id, command)
    expected = (await client.run(sandbox_id, "sha256sum data"))["stdout"].split()[0]
    for viewer in (project.client(Role.VIEWER), project.client(Role.VIEWER, web=1)):
        url = f"{viewer.address}/executions/{execution['id']}/logs"
        out = await viewer.http.get(f"{url}/stdout", headers=viewer.authorization)
        assert (out.status_code, out.headers["content-length"]) == (200, "20000000")
        assert out.headers["output-gaps"] == "0"
        assert hashlib.sha256(out.content).hexdigest() == expected
        error = await viewer.http.get(f"{url}/stderr", headers=viewer.authorization)
        assert error.content == b"\0\xffend"
        nothing = await viewer.http.get(f"{url}/pty", headers=viewer.authorization)
        assert (nothing.status_code, nothing.content) == (200, b"")
        head = await viewer.http.head(f"{url}/stdout", headers=viewer.authorization)
        assert (head.headers["content-length"], head.content) == ("20000000", b"")


async def test_output_stays_when_its_sandbox_has_ended(client: Client) -> None:
    async with client.sandbox() as sandbox_id:
        execution = await client.run(sandbox_id, "echo kept")
        await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)
    url = f"{client.address}/executions/{execution['id']}/logs/stdout"
    answer = await client.http.get(url, headers=client.authorization)
    assert answer.content == b"kept\n"
    name = f"execution-{execution['number']}.stdout.log"
    assert f'attachment; filename="{name}"' in answer.headers["content-disposition"]
    assert answer.headers["content-security-policy"].startswith("sandbox;")


async def test_of_a_command_that_runs_what_is_stored_is_downloaded(client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, "echo so far; sleep 60")
    async with client.execution_logs(execution) as batches:
        await anext(batches)
    url = f"{client.address}/executions/{execution}/logs/stdout"
    assert (await client.http.get(url, headers=client.authorization)).content == b"so far\n"
    await client.mutate("cancelExecution", "id", executionId=execution)


async def test_output_that_is_missing_is_counted(client: Client) -> None:
    async with client.sandbox() as sandbox_id:
        execution = await client.start(sandbox_id, "echo before; sleep 60")
        async with client.execution_logs(execution) as batches:
            await anext(batches)
            await client.mutate("terminateSandbox", "id", sandboxId=sandbox_id)
            async for _ in batches:
                pass
    url = f"{client.address}/executions/{execution}/logs/stdout"
    answer = await client.http.get(url, headers=client.authorization)
    assert (answer.content, answer.headers["output-gaps"]) == (b"before\n", "1")


@pytest.mark.parametrize("execution", ["own", "foreign", os.urandom(8).hex()])
async def test_what_is_not_there_is_not_found(
    product: Product, client: Client, sandbox_id: str, execution: str
) -> None:
    own = (await client.run(sandbox_id, "echo mine"))["id"]
    stranger = (await product.new_project()).client()
    asker, asked, stream = {
        "own": (client, own, "stdin"),
        "foreign": (stranger, own, "stdout"),
    }.get(execution, (client, execution, "stdout"))
    answer = await asker.http.get(
        f"{asker.address}/executions/{asked}/logs/{stream}", headers=asker.authorization
    )
    expected = (400, "INVALID") if execution == "own" else (404, "NOT_FOUND")
    assert (answer.status_code, code_of(answer)) == expected
    assert "mine" not in answer.text


async def test_output_needs_a_key(client: Client, sandbox_id: str) -> None:
    execution = (await client.run(sandbox_id, "echo mine"))["id"]
    answer = await client.http.get(f"{client.address}/executions/{execution}/logs/stdout")
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
    assert "mine" not in answer.text
