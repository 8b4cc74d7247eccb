"""Executions outlive the process of ours that reads them also where the provider drops what nobody reads."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.executions.test_takeover import kill, numbers
from tests.fixtures.product import Product, Project
from tests.fixtures.runtime import RuntimeProcess
from tests.logs.reading import Reader


@contextmanager
def at_rest(product: Product) -> Iterator[None]:
    """The processes that all tests share stand still: they know no such provider, and would take over too."""
    children = [*(web.child.process_id for web in product.webs), product.worker.process_id]
    for process_id in children:
        os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        for process_id in children:
            os.kill(process_id, signal.SIGCONT)


async def test_in_the_cloud_too_another_process_goes_on_where_a_killed_one_stopped(
    product: Product, project: Project, dropping_runtime: RuntimeProcess
) -> None:
    cloud = {
        "E2B_API_KEY": dropping_runtime.api_key,
        "E2B_API_URL": dropping_runtime.url,
        "E2B_SANDBOX_URL": dropping_runtime.url,
    }
    commands = {
        "loud": "seq 1000000; exit 5",
        "late": "echo begun; sleep 2; echo late; kill -TERM $$; sleep 5",
        "ended meanwhile": "echo begun; sleep 0.5; seq 100000; exit 3",
    }
    async with (
        product.another_web_process(**cloud) as survivor,
        product.another_web_process(**cloud) as doomed,
    ):
        with at_rest(product):
            client = project.client_of(survivor)
            async with client.sandbox(provider="e2b") as sandbox_id:
                executions = {
                    name: await project.client_of(doomed).start(sandbox_id, command)
                    for name, command in commands.items()
                }
                readers = {name: Reader() for name in commands}
                for name, reader in readers.items():
                    await reader.read_execution(client, executions[name], until=6)
                kill(doomed)
                for name, reader in readers.items():
                    await reader.read_execution(client, executions[name])
                ends = {name: await client.ended(execution) for name, execution in executions.items()}
    assert [reader.gaps for reader in readers.values()] == [[]] * len(readers)
    assert readers["loud"].only("STDOUT") == numbers(1_000_000)
    assert readers["late"].only("STDOUT") == b"begun\nlate\n"
    assert readers["ended meanwhile"].only("STDOUT") == b"begun\n" + numbers(100_000)
    assert {name: (end["status"], end["exitCode"], end["signal"]) for name, end in ends.items()} == {
        "loud": ("FAILED", 5, None),
        "late": ("FAILED", None, "SIGTERM"),
        "ended meanwhile": ("FAILED", 3, None),
    }
