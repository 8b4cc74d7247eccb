"""Executions under damage: started by one web process, followed through the others, checked to the byte."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from tests.faults.following import END, Follower, again
from tests.faults.stack import PROVIDERS
from tests.faults.writers import HURRY, Writer
from tests.fixtures.client import Client
from tests.fixtures.product import Project

_AGAIN_SECONDS = 30.0


@dataclass
class Watched:
    """An execution, what it writes, and who reads it."""

    provider: str
    sandbox_id: str
    writer: Writer
    follower: Follower
    reading: asyncio.Task[None]

    async def more(self, least: int = 1) -> None:
        """Wait until so many bytes more than now were read."""
        goal = self.follower.size + least
        while self.follower.size < goal and not self.reading.done():
            await asyncio.sleep(0.02)
        if self.reading.done():
            self.reading.result()

    async def require_whole(self, clients: Sequence[Client]) -> None:
        """Wait for its end: every byte, once, and the true exit code."""
        await self.reading
        self.follower.require_true(self.writer, whole=True)
        end = await self.end(clients)
        expected = "FAILED" if self.writer.exit_code else "SUCCEEDED"
        assert (end["status"], end["exitCode"]) == (expected, self.writer.exit_code), (self.provider, end)
        assert end["stdoutBytes"] == len(self.writer.output("STDOUT"))

    async def end(self, clients: Sequence[Client]) -> dict[str, object]:
        """How its record says that it ended."""
        execution_id = self.follower.execution_id
        return await again(
            clients, lambda client: client.show_execution(execution_id, END), seconds=_AGAIN_SECONDS
        )


@asynccontextmanager
async def watched_executions(
    owner: Client, readers: Sequence[Client], writers: Sequence[Writer]
) -> AsyncIterator[list[Watched]]:
    """Each of the writers in a sandbox at each provider, run by `owner` and read by way of `readers`."""
    async with AsyncExitStack() as stack:
        sandboxes = [await stack.enter_async_context(resilient_sandbox(readers, one)) for one in PROVIDERS]
        watched = [
            await _watch(owner, readers, provider, sandbox_id, writer)
            for provider, sandbox_id in zip(PROVIDERS, sandboxes, strict=True)
            for writer in writers
        ]
        for one in watched:
            stack.callback(one.reading.cancel)
        yield watched


async def _watch(
    owner: Client, readers: Sequence[Client], provider: str, sandbox_id: str, writer: Writer
) -> Watched:
    follower = Follower(await owner.start(sandbox_id, writer.command))
    reading = asyncio.create_task(follower.read(readers))
    return Watched(provider, sandbox_id, writer, follower, reading)


@asynccontextmanager
async def resilient_sandbox(clients: Sequence[Client], provider: str) -> AsyncIterator[str]:
    """A sandbox for the length of the block, which is ended whatever lives by then."""
    made = await clients[0].create_sandbox(provider=provider, ttlSeconds=600)
    try:
        yield made["id"]
    finally:
        await again(
            clients,
            lambda client: client.mutate("terminateSandbox", "id", sandboxId=made["id"]),
            seconds=_AGAIN_SECONDS,
        )


async def hurry(clients: Sequence[Client], watched: Sequence[Watched]) -> None:
    """Let the writers pause no more."""
    for sandbox_id in dict.fromkeys(one.sandbox_id for one in watched):
        write = partial(_write_file, sandboxId=sandbox_id, path=HURRY, text="")
        await again(clients, write, seconds=_AGAIN_SECONDS)


async def _write_file(client: Client, **values: str) -> None:
    await client.mutate("writeFile", "path", **values)


def clients_of(project: Project, *webs: int) -> list[Client]:
    """A client of each of these web processes."""
    return [project.client(web=web) for web in webs]
