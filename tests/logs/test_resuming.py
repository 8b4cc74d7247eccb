"""Nothing lost, nothing doubled: subscriptions cut at any moment and resumed in either web process."""

import asyncio
import hashlib
import itertools
import random

from tests.fixtures.client import Client
from tests.fixtures.product import Project
from tests.logs.reading import Reader, random_output

HUNDRED_MEGABYTES = 100_000_000
CUTS = 20


async def test_100_megabytes_are_exact_though_cut_20_times_at_random(
    project: Project, client: Client, sandbox_id: str
) -> None:
    execution = await client.start(sandbox_id, random_output(HUNDRED_MEGABYTES))
    seed = random.randrange(2**32)
    cuts = sorted(random.Random(seed).randrange(HUNDRED_MEGABYTES) for _ in range(CUTS))
    webs = itertools.cycle((1, 0))
    reader = Reader()
    for until in [*cuts, float("inf")]:
        if not reader.ended:
            await reader.read_execution(project.client(web=next(webs)), execution, until)
    ended = await client.show_execution(execution, "status statusReason stdoutBytes")
    assert ended == {"status": "SUCCEEDED", "statusReason": None, "stdoutBytes": HUNDRED_MEGABYTES}
    out, err = reader.stream("STDOUT"), reader.stream("STDERR")
    assert (len(out), reader.gaps, reader.ended) == (HUNDRED_MEGABYTES, [], True), f"seed {seed}"
    assert hashlib.sha256(out).hexdigest() == err.decode().strip(), f"seed {seed}"


async def test_all_of_a_sandboxs_executions_are_exact_in_one_resumed_subscription(
    project: Project, client: Client
) -> None:
    made = await client.create_sandbox()
    random_source = random.Random(seed := random.randrange(2**32))
    reader = Reader()
    webs = itertools.cycle((0, 1))

    async def follow() -> None:
        while not reader.ended:
            until = reader.size + random_source.randrange(1, 4000)
            await reader.read_sandbox(project.client(web=next(webs)), made["id"], until)

    following = asyncio.create_task(follow())
    commands = [
        f"for i in $(seq 40); do echo {number}:$i; echo {number}:$i >&2; sleep 0.00{number % 5}; done"
        for number in range(12)
    ]
    await asyncio.gather(
        *(project.client(web=number % 2).run(made["id"], command) for number, command in enumerate(commands))
    )
    await client.run(made["id"], "true")
    await client.run(made["id"], "echo last")
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])
    await following
    seen = sorted(bytes(data) for data in reader.streams.values())
    lines = [b"".join(b"%d:%d\n" % (number, i) for i in range(1, 41)) for number in range(12)]
    assert seen == sorted([*lines, *lines, b"last\n"]), f"seed {seed}"
    assert reader.gaps == []


async def test_who_comes_after_the_end_gets_all_of_it_and_then_only_the_end(
    project: Project, client: Client, sandbox_id: str
) -> None:
    execution = (await client.run(sandbox_id, "seq 1000"))["id"]
    reader = Reader()
    await reader.read_execution(project.client(web=1), execution)
    [read] = reader.streams.values()
    assert bytes(read) == b"".join(b"%d\n" % number for number in range(1, 1001))
    assert reader.ended
    async with client.execution_logs(execution, reader.cursor) as batches:
        assert [batch async for batch in batches] == [{"chunks": [], "ended": True}]


async def test_each_chunks_own_cursor_resumes_right_after_it(client: Client, sandbox_id: str) -> None:
    execution = (await client.run(sandbox_id, "for i in 1 2 3 4; do echo $i; sleep 0.05; done"))["id"]
    async with client.execution_logs(execution, selection="chunks { cursor text }") as batches:
        chunks = [chunk async for batch in batches for chunk in batch["chunks"]]
    assert "".join(chunk["text"] for chunk in chunks) == "1\n2\n3\n4\n"
    for position, chunk in enumerate(chunks):
        async with client.execution_logs(execution, chunk["cursor"]) as batches:
            rest = [each["text"] async for batch in batches for each in batch["chunks"]]
        assert rest == [each["text"] for each in chunks[position + 1 :]]


async def test_a_line_is_stored_before_it_is_shown(project: Project, client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, "for i in $(seq 20); do echo $i; sleep 0.02; done")
    selection = "chunks { offset text }"
    async with client.execution_logs(execution, selection=selection) as batches:
        async for batch in batches:
            stored = await project.client(web=1).show_execution(execution, "stdoutBytes")
            for chunk in batch["chunks"]:
                assert stored["stdoutBytes"] >= chunk["offset"] + len(chunk["text"])


async def test_a_cursor_that_is_none_is_refused(client: Client, sandbox_id: str) -> None:
    execution, other = [(await client.run(sandbox_id, "echo x"))["id"] for _ in range(2)]
    async with client.execution_logs(other, selection="cursor") as batches:
        foreign = [batch["cursor"] async for batch in batches][-1]
    for cursor in ("", "nonsense", "é", "\0", "a" * 100_000, foreign):
        for field in (f'executionLogs(executionId: "{execution}"', f'sandboxLogs(sandboxId: "{sandbox_id}"'):
            document = f"subscription($after: String) {{ {field}, after: $after) {{ ended }} }}"
            assert await first_error(client, document, after=cursor) == "INVALID"


async def first_error(client: Client, document: str, **variables: str) -> str:
    """The code of the error that a subscription answers with."""
    async with client.subscribe(document, **variables) as values:
        error = await values.first_error()
    return error.code
