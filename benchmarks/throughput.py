"""How many lines a second go from a process to its subscribers, against a raw WebSocket."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

from benchmarks.client import FOLLOW, Client, count_lines, frames_until_complete, opened
from benchmarks.figures import Bar, Figure, Samples, per_second, ratio
from benchmarks.plain import PlainServer, running_plain_server
from benchmarks.stack import Stack, temporary_folder

_LINE = "0123456789" * 9 + "012345678"
_ONE_LINES, _ONE_ROUNDS = 400_000, 3
_MANY, _MANY_LINES, _MANY_ROUNDS = 50, 40_000, 2
_BAR = 200_000
_NO_PROJECT = UUID(int=0)


async def measure_throughput(stack: Stack) -> list[Figure]:
    """Lines of 100 bytes from one process to one and to fifty subscribers, each of which gets all."""
    client = Client(stack)
    sandbox = await client.create_sandbox("throughput")
    try:
        return [
            await _compare(stack, client, sandbox, 1, _ONE_LINES, _ONE_ROUNDS),
            await _compare(stack, client, sandbox, _MANY, _MANY_LINES, _MANY_ROUNDS),
        ]
    finally:
        await client.terminate_sandbox(sandbox)
        await client.close()


async def _compare(
    stack: Stack, client: Client, sandbox: str, subscribers: int, lines: int, rounds: int
) -> Figure:
    with temporary_folder() as folder:
        execution = await _start(client, sandbox, lines)
        await client.send_input(execution, "\n")
        async with client.subscribed(FOLLOW, execution=execution) as socket:
            frames = [frame async for frame in frames_until_complete(socket)]
        ours: list[float] = []
        theirs: list[float] = []
        async with running_plain_server(
            stack.database_url, _NO_PROJECT, _kept(frames, folder / "frames")
        ) as plain:
            for _ in range(rounds):
                theirs.append(await _raw(plain, subscribers, lines))
                ours.append(await _followed(client, sandbox, subscribers, lines))
    ours_median, theirs_median = Samples(ours).median, Samples(theirs).median
    delivered = lines * subscribers
    bar = Bar("≥ 200,000 lines/s", lines / ours_median >= _BAR) if subscribers == 1 else None
    people = "1 subscriber" if subscribers == 1 else f"{subscribers} subscribers"
    return Figure(
        f"lines of 100 bytes to {people}, delivered",
        per_second(delivered, ours_median),
        f"raw Starlette WebSocket: {per_second(delivered, theirs_median)}",
        ratio(delivered / ours_median, delivered / theirs_median),
        bar,
    )


async def _start(client: Client, sandbox: str, lines: int) -> str:
    """A command that writes its lines once it has read one."""
    command = f"read -r; yes {_LINE} | head -n {lines}"
    return str((await client.execute(sandbox, command, wait=False, stdin=True))["id"])


async def _followed(client: Client, sandbox: str, subscribers: int, lines: int) -> float:
    """Seconds from the word to begin until the last subscriber has the last line."""
    execution = await _start(client, sandbox, lines)
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(client.subscribed(FOLLOW, execution=execution))
            for _ in range(subscribers)
        ]
        counts = [asyncio.create_task(count_lines(socket)) for socket in sockets]
        started = time.perf_counter()
        await client.send_input(execution, "\n")
        return _checked(await asyncio.gather(*counts), lines, started)


async def _raw(plain: PlainServer, subscribers: int, lines: int) -> float:
    """The same frames from a server that has nothing else to do."""
    address = plain.address.replace("http", "ws", 1) + "/frames"
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(address)) for _ in range(subscribers)]
        started = time.perf_counter()
        for socket in sockets:
            await socket.send("begin")
        return _checked(await asyncio.gather(*map(count_lines, sockets)), lines, started)


def _kept(frames: list[bytes], file: Path) -> Path:
    file.write_bytes(b"\n".join(frames))
    return file


def _checked(counts: list[int], lines: int, started: float) -> float:
    seconds = time.perf_counter() - started
    if set(counts) != {lines}:
        raise RuntimeError(f"Subscribers got {sorted(set(counts))} lines of {lines}.")
    return seconds
