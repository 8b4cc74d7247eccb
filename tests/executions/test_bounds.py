"""How much may run in a sandbox, and that nobody waits for nobody."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from commandcenter.executions.start import MOST_RUNNING
from tests.fixtures.client import Client
from tests.fixtures.product import Project

COPIES = text("""
    INSERT INTO executions SELECT (json_populate_record(running, json_build_object(
        'id', gen_random_uuid(), 'number', running.number + place, 'owner', gen_random_uuid()
    ))).* FROM executions AS running, generate_series(1, :copies) AS place
""")
COUNTED = text("UPDATE sandboxes SET execution_count = execution_count + :copies WHERE status = 'RUNNING'")
WAIT = "mutation($i: ExecuteCommandInput!) { executeCommand(input: $i) { execution { id } } }"


async def test_commands_at_work_in_a_sandbox_are_bounded(client: Client, project: Project) -> None:
    async with client.sandbox() as sandbox_id:
        await client.start(sandbox_id, "sleep 1000")
        async with project.product.database.transaction(project.id) as session:
            await session.execute(COPIES, {"copies": MOST_RUNNING - 1})
            await session.execute(COUNTED, {"copies": MOST_RUNNING - 1})
        async with project.unchanged():
            error = await client.refused("executeCommand", sandboxId=sandbox_id, command="true")
        assert (error.code, error.field) == ("QUOTA_EXCEEDED", ("sandboxId",))


async def test_a_command_goes_on_when_the_one_who_waits_for_it_goes(client: Client, sandbox_id: str) -> None:
    impatient = httpx.Timeout(10, read=0.5)
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post(
            f"{client.address}/graphql",
            headers=client.authorization,
            timeout=impatient,
            json={
                "query": WAIT,
                "variables": {"i": {"sandboxId": sandbox_id, "command": "sleep 1; echo done", "wait": True}},
            },
        )
    async with asyncio.timeout(10):
        [execution] = (
            await client.query(
                "query($id: ID!) { sandbox(id: $id) { executions { nodes { id } } } }", id=sandbox_id
            )
        )["sandbox"]["executions"]["nodes"]
        ended = await client.ended(execution["id"])
    assert (ended["status"], ended["stdout"]) == ("SUCCEEDED", "done\n")
