"""Output is found however many executions of its sandbox come before it without any."""

from commandcenter.clock import now
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.identifiers import new_id
from commandcenter.logs.records import LogChunkRecord, LogStream
from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.sandboxes.sweeping import add_record

QUIET_EXECUTIONS = 1000


async def test_the_first_line_of_stderr_is_found_behind_a_thousand_executions_without_any(
    client: Client, project: Project
) -> None:
    sandbox_id = await add_record(project, provider="of no account", name="busy")
    streams = [LogStream.STDOUT] * QUIET_EXECUTIONS + [LogStream.STDERR]
    executions = [
        Execution(
            id=new_id(),
            project_id=project.id,
            sandbox_id=sandbox_id,
            incarnation=1,
            number=number,
            command="true",
            status=ExecutionStatus.SUCCEEDED,
            has_stdin=False,
            is_terminal=False,
            exit_code=0,
            created_by="system:tests",
            created_at=now(),
            last_sequence=1,
            stdout_bytes=1,
            stderr_bytes=0,
            terminal_bytes=0,
        )
        for number, _ in enumerate(streams, start=1)
    ]
    async with project.product.database.transaction(project.id) as session:
        session.add_all(executions)
        await session.flush()
        session.add_all(
            LogChunkRecord(
                execution_id=execution.id,
                sequence=1,
                project_id=project.id,
                stream=stream,
                offset=0,
                data=b"x",
                at=now(),
            )
            for execution, stream in zip(executions, streams, strict=True)
        )
    query = (
        'query { sandboxes(filter: {nameContains: "busy"}) { nodes { '
        "logs(stream: STDERR, first: 5) { nodes { text } pageInfo { hasNextPage } } } } }"
    )
    [found] = (await client.query(query))["sandboxes"]["nodes"]
    assert found["logs"] == {"nodes": [{"text": "x"}], "pageInfo": {"hasNextPage": False}}
