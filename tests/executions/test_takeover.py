"""Executions outlive the process of ours that reads them: another goes on from the last stored byte."""

import os
import signal
import time

from sqlalchemy import select, update

from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.identifiers import new_id
from resolvers.ids import global_id
from tests.fixtures.product import Product, Project, WebProcess
from tests.logs.reading import Reader, random_output

TAKEN_OVER_SECONDS = 15


def numbers(last: int) -> bytes:
    """What `seq` writes."""
    return b"".join(b"%d\n" % number for number in range(1, last + 1))


def kill(web: WebProcess) -> None:
    os.kill(web.child.process_id, signal.SIGKILL)


async def test_another_process_goes_on_where_a_killed_one_stopped(product: Product, project: Project) -> None:
    commands = {
        "loud": random_output(40_000_000),
        "failing": "for i in $(seq 400); do echo $i; sleep 0.01; done; exit 7",
        "late": "echo begun; sleep 6; echo late; kill -TERM $$; sleep 5",
        "ended meanwhile": "echo begun; sleep 1; seq 100000; exit 3",
        "timed out meanwhile": "echo begun; sleep 60",
    }
    survivor = project.client(web=1)
    async with product.another_web_process() as doomed, survivor.sandbox() as sandbox_id:
        client = project.client_of(doomed)
        executions = {
            name: await client.start(sandbox_id, command, timeoutSeconds=3 if "timed" in name else None)
            for name, command in commands.items()
        }
        readers = {name: Reader() for name in commands}
        for name, reader in readers.items():
            await reader.read_execution(survivor, executions[name], until=6)
        kill(doomed)
        killed = time.monotonic()
        await readers["failing"].read_execution(survivor, executions["failing"])
        assert time.monotonic() - killed < TAKEN_OVER_SECONDS
        for name in commands.keys() - {"failing"}:
            await readers[name].read_execution(survivor, executions[name])
        ends = {name: await survivor.ended(execution) for name, execution in executions.items()}
    assert [reader.gaps for reader in readers.values()] == [[]] * len(readers)
    assert readers["loud"].sha256("STDOUT") == readers["loud"].only("STDERR").decode().strip()
    assert readers["failing"].only("STDOUT") == numbers(400)
    assert readers["late"].only("STDOUT") == b"begun\nlate\n"
    assert readers["ended meanwhile"].only("STDOUT") == b"begun\n" + numbers(100_000)
    assert readers["timed out meanwhile"].only("STDOUT") == b"begun\n"
    assert {name: (end["status"], end["exitCode"], end["signal"]) for name, end in ends.items()} == {
        "loud": ("SUCCEEDED", 0, None),
        "failing": ("FAILED", 7, None),
        "late": ("FAILED", None, "SIGTERM"),
        "ended meanwhile": ("FAILED", 3, None),
        "timed out meanwhile": ("TIMED_OUT", None, None),
    }


async def test_a_process_that_stops_in_order_leaves_its_executions_to_others(
    product: Product, project: Project
) -> None:
    survivor = project.client(web=1)
    reader = Reader()
    async with survivor.sandbox() as sandbox_id:
        async with product.another_web_process() as leaving:
            execution = await project.client_of(leaving).start(
                sandbox_id, "for i in $(seq 300); do echo $i; sleep 0.01; done; exit 9"
            )
            await reader.read_execution(survivor, execution, until=10)
        stopped = time.monotonic()
        await reader.read_execution(survivor, execution)
        assert time.monotonic() - stopped < TAKEN_OVER_SECONDS / 2
        assert (await survivor.ended(execution))["exitCode"] == 9
    assert reader.only("STDOUT") == numbers(300)
    assert reader.gaps == []


async def test_a_process_that_was_held_up_writes_nothing_into_what_others_read_now(
    product: Product, project: Project
) -> None:
    survivor = project.client(web=1)
    async with product.another_web_process() as held_up, survivor.sandbox() as sandbox_id:
        execution = await project.client_of(held_up).start(
            sandbox_id, "for i in $(seq 600); do echo $i; sleep 0.01; done; exit 4"
        )
        reader = Reader()
        await reader.read_execution(survivor, execution, until=10)
        os.kill(held_up.child.process_id, signal.SIGSTOP)
        try:
            await reader.read_execution(survivor, execution, until=1500)
        finally:
            os.kill(held_up.child.process_id, signal.SIGCONT)
        await reader.read_execution(survivor, execution)
        assert (await survivor.ended(execution))["exitCode"] == 4
        events = await survivor.query(
            "query($id: ID!) { sandbox(id: $id) { events(first: 50) { nodes { kind } } } }", id=sandbox_id
        )
    assert reader.only("STDOUT") == numbers(600)
    assert reader.gaps == []
    kinds = [event["kind"] for event in events["sandbox"]["events"]["nodes"]]
    assert kinds.count("execution.failed") == kinds.count("execution.taken_over") == 1


async def test_a_start_that_was_never_written_down_is_found_and_read_from_its_beginning(
    product: Product, project: Project
) -> None:
    survivor = project.client(web=1)
    async with product.another_web_process() as doomed, survivor.sandbox() as sandbox_id:
        client = project.client_of(doomed)
        started = await client.start(sandbox_id, "sleep 1; seq 5; exit 2")
        await client.start(sandbox_id, "sleep 1; seq 5; exit 2")
        kill(doomed)
        async with product.database.transaction(project.id) as session:
            # As a kill leaves them before it is written down that they run: one that does, and one that
            # was not even begun.
            executions = select(Execution.id).order_by(Execution.id.desc()).limit(2)
            second, first = await session.scalars(executions)
            unwritten = {"status": ExecutionStatus.QUEUED, "pid": None, "started_at": None}
            begun, not_begun = update(Execution).where(Execution.id == first), new_id()
            await session.execute(begun.values(**unwritten))
            await session.execute(
                update(Execution).where(Execution.id == second).values(**unwritten, id=not_begun)
            )
        reader = Reader()
        await reader.read_execution(survivor, started)
        assert (await survivor.ended(started))["exitCode"] == 2
        lost = await survivor.ended(global_id("Execution", not_begun))
    assert (reader.only("STDOUT"), reader.gaps) == (numbers(5), [])
    assert (lost["status"], lost["exitCode"]) == ("LOST", None)
