"""From the wish for a sandbox to the first command's output."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from benchmarks.bare_sandbox import BareSandbox
from benchmarks.client import Client, RequestFailedError
from benchmarks.figures import Bar, Figure, Samples, ratio
from benchmarks.stack import Stack, temporary_folder

_ONE_AT_A_TIME = 25
_AT_ONCE, _ROUNDS = 20, 3
_BAR_SECONDS = 0.150


async def measure_creation(stack: Stack) -> list[Figure]:
    """One after the other, and twenty at once, against bare bubblewrap of the same profile."""
    client = Client(stack)
    with temporary_folder() as folder:
        try:
            async with BareSandbox(folder) as bare:
                return [await _one_at_a_time(client, bare), await _at_once(client, bare)]
        finally:
            await client.close()


async def _one_at_a_time(client: Client, bare: BareSandbox) -> Figure:
    await client.terminate_sandbox(await _create(client, "warm-up"))
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(_ONE_AT_A_TIME):
        theirs.append(await bare.run_true())
        started = time.perf_counter()
        sandbox = await _create(client, f"one-{number}")
        ours.append(time.perf_counter() - started)
        await client.terminate_sandbox(sandbox)
    bar = Bar("p50 ≤ 150 ms", Samples(ours).median <= _BAR_SECONDS)
    return _figure("create → first output, one at a time", ours, theirs, bar)


async def _at_once(client: Client, bare: BareSandbox) -> Figure:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(_ROUNDS):
        theirs += await _durations([bare.run_true] * _AT_ONCE)
        sandboxes: list[str] = []
        ours += await _durations(
            [partial(_create_into, sandboxes, client, f"round-{number}-{each}") for each in range(_AT_ONCE)]
        )
        await asyncio.gather(*(client.terminate_sandbox(sandbox) for sandbox in sandboxes))
    return _figure(f"create → first output, {_AT_ONCE} at once", ours, theirs, None)


async def _create(client: Client, name: str) -> str:
    """A sandbox that has given its first command's output."""
    sandbox = await client.create_sandbox(name)
    execution = await client.execute(sandbox, "echo ready")
    if execution["stdout"] != "ready\n":
        raise RequestFailedError(f"The first command's output was {execution}.")
    return sandbox


async def _create_into(sandboxes: list[str], client: Client, name: str) -> None:
    sandboxes.append(await _create(client, name))


async def _durations(works: Sequence[Callable[[], Awaitable[object]]]) -> list[float]:
    """How long each takes from now, when all are begun together."""
    started = time.perf_counter()

    async def duration(work: Callable[[], Awaitable[object]]) -> float:
        await work()
        return time.perf_counter() - started

    return list(await asyncio.gather(*map(duration, works)))


def _figure(what: str, ours: list[float], theirs: list[float], bar: Bar | None) -> Figure:
    return Figure(
        what,
        str(Samples(ours)),
        f"bare `bwrap … true`: {Samples(theirs)}",
        ratio(Samples(ours).median, Samples(theirs).median),
        bar,
    )
