"""Output while things break: readers that stall, processes that are killed, a queue that stands still."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis

from tests.fixtures.client import Client, Subscription, receive, send
from tests.fixtures.product import Product, Project

FLOOD_BYTES = 100_000_000
MOST_GROWTH_BYTES = 64_000_000


async def test_a_reader_that_stalls_delays_nobody_and_costs_no_memory(
    product: Product, client: Client
) -> None:
    web = product.webs[0].child.process_id
    async with client.sandbox() as flooded, client.sandbox() as quiet:
        before = resident_bytes(web)
        flood = await client.start(flooded, f"head -c {FLOOD_BYTES} /dev/zero")
        async with client.socket(max_queue=1) as stalled:
            await client.greet(stalled)
            document = f'subscription {{ executionLogs(executionId: "{flood}") {{ chunks {{ base64 }} }} }}'
            await send(stalled, id="1", type="subscribe", payload={"query": document})
            assert (await receive(stalled))["type"] == "next"
            execution = await client.start(quiet, "for i in $(seq 20); do date +%s.%N; sleep 0.05; done")
            async with client.execution_logs(execution) as batches:
                delays = [
                    time.time() - float(line)
                    async for batch in batches
                    for chunk in batch["chunks"]
                    for line in chunk["text"].splitlines()
                ]
            ended = await client.ended(flood, "status stdoutBytes")
            grown = resident_bytes(web) - before
            stalled.transport.abort()
        assert ended == {"status": "SUCCEEDED", "stdoutBytes": FLOOD_BYTES}
        assert len(delays) == 20
        assert statistics.median(delays) < 1
        assert grown < MOST_GROWTH_BYTES


async def test_a_flood_starves_no_other_execution_of_its_sandbox(client: Client) -> None:
    async with client.sandbox() as sandbox_id:
        flood = await client.start(sandbox_id, "exec yes flood")
        quiet = await client.start(sandbox_id, "for i in $(seq 5); do echo line $i; sleep 0.05; done")
        whole = "".join(f"line {number}\n" for number in range(1, 6))
        text, flooded = "", 0
        selection = "chunks { execution { id } text }"
        async with client.sandbox_logs(sandbox_id, selection=selection) as batches, asyncio.timeout(15):
            async for batch in batches:
                for chunk in batch["chunks"]:
                    if chunk["execution"]["id"] == quiet:
                        text += chunk["text"]
                    else:
                        flooded += len(chunk["text"])
                if text == whole and flooded:
                    break
        assert (await client.show_execution(flood, "status"))["status"] == "RUNNING"
        await client.mutate("cancelExecution", "id", executionId=flood)
        assert (await client.ended(flood, "status"))["status"] == "CANCELLED"


async def test_lines_arrive_while_the_queue_stands_still(
    product: Product, project: Project, client: Client, sandbox_id: str
) -> None:
    execution = await client.start(sandbox_id, "for i in $(seq 100); do echo $i; sleep 0.05; done")
    async with (
        project.client(web=0).execution_logs(execution) as here,
        project.client(web=1).execution_logs(execution) as there,
    ):
        first = await lines(here, 5), await lines(there, 5)
        with stopped(await process_of_valkey(product)):
            async with asyncio.timeout(20):
                while_stopped = await lines(here, 20), await lines(there, 20)
        rest = await lines(here, 100), await lines(there, 100)
    for parts in zip(first, while_stopped, rest, strict=True):
        assert "".join(parts) == "".join(f"{number}\n" for number in range(1, 101))


async def lines(subscription: Subscription, count: int) -> str:
    """The next output: at least so many lines, or all there is."""
    text = ""
    async for batch in subscription:
        text += "".join(chunk["text"] for chunk in batch["chunks"])
        if text.count("\n") >= count:
            break
    return text


async def process_of_valkey(product: Product) -> int:
    async with Redis.from_url(product.redis_url) as client:
        return int((await client.info("server"))["process_id"])


@contextmanager
def stopped(process_id: int) -> Iterator[None]:
    """The process stands still for the length of the block."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def resident_bytes(process_id: int) -> int:
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
