"""From the wish for a sandbox to its first output, of the runtime alone."""

import asyncio
import time

from e2b import AsyncSandbox

from benchmarks.bare_sandbox import BareSandbox
from benchmarks.figures import Bar, Figure, Samples, ratio
from benchmarks.runtime.alone import RuntimeAlone, running_runtime
from benchmarks.stack import temporary_folder

_ONE_AT_A_TIME = 40
_AT_ONCE = 100
_REFILL_SECONDS = 1.0
_COLD_BAR_SECONDS, _WARM_BAR_SECONDS, _AT_ONCE_BAR_SECONDS = 0.060, 0.030, 0.350


async def measure_creation() -> list[Figure]:
    """With no sandbox kept ready, with as many as by default, and with one for each of a hundred."""
    with temporary_folder() as folder:
        bare = BareSandbox(folder)
        figures = []
        async with running_runtime(warm_sandboxes=0) as runtime:
            figures.append(
                await _one_at_a_time("cold", runtime, bare, "p50 ≤ 60 ms", _COLD_BAR_SECONDS, pause=0)
            )
            figures.append(await _at_once("cold", runtime, bare))
        async with running_runtime() as runtime:
            figures.append(
                await _one_at_a_time("warm", runtime, bare, "p50 ≤ 30 ms", _WARM_BAR_SECONDS, pause=0.1)
            )
            await asyncio.sleep(_REFILL_SECONDS)
            figures.append(await _at_once("warm", runtime, bare))
        async with running_runtime(warm_sandboxes=_AT_ONCE) as runtime:
            await asyncio.sleep(_AT_ONCE * 0.05)
            figures.append(await _at_once(f"{_AT_ONCE} kept ready", runtime, bare))
        return figures


async def _one_at_a_time(
    kind: str, runtime: RuntimeAlone, bare: BareSandbox, words: str, bar: float, *, pause: float
) -> Figure:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(_ONE_AT_A_TIME):
        theirs.append(bare.run_true())
        await asyncio.sleep(pause)
        sandbox, seconds = await _create(runtime)
        ours.append(seconds)
        await sandbox.kill()
    return _figure(f"create → first output, {kind}", ours, theirs, Bar(words, Samples(ours).median <= bar))


async def _at_once(kind: str, runtime: RuntimeAlone, bare: BareSandbox) -> Figure:
    began = time.perf_counter()
    theirs = await asyncio.gather(*(_run_bare(bare, began) for _ in range(_AT_ONCE)))
    made = await asyncio.gather(*(_create(runtime) for _ in range(_AT_ONCE)))
    await asyncio.gather(*(sandbox.kill() for sandbox, _ in made))
    ours = [seconds for _, seconds in made]
    return _figure(
        f"… {_AT_ONCE} at once, {kind}",
        ours,
        theirs,
        Bar("p50 ≤ 350 ms", Samples(ours).median <= _AT_ONCE_BAR_SECONDS),
    )


async def _create(runtime: RuntimeAlone) -> tuple[AsyncSandbox, float]:
    """A sandbox that has given its first command's output, and the seconds that it took."""
    began = time.perf_counter()
    sandbox = await runtime.client.AsyncSandbox.create()
    result = await sandbox.commands.run("echo ready")
    seconds = time.perf_counter() - began
    if result.stdout != "ready\n":
        raise RuntimeError(f"The first command's output was {result}.")
    return sandbox, seconds


async def _run_bare(bare: BareSandbox, began: float) -> float:
    await asyncio.to_thread(bare.run_true)
    return time.perf_counter() - began


def _figure(what: str, ours: list[float], theirs: list[float], bar: Bar) -> Figure:
    compared = f"bare `bwrap … true`: {Samples(theirs)}"
    return Figure(
        what, str(Samples(ours)), compared, ratio(Samples(ours).median, Samples(theirs).median), bar
    )
