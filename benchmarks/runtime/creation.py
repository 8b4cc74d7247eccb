"""From the wish for a sandbox to its first output, of the runtime alone."""

import asyncio
import time

from e2b import AsyncSandbox

from benchmarks.bare_sandbox import BareSandbox
from benchmarks.figures import Bar, Figure, Samples, ratio
from benchmarks.runtime.alone import RuntimeAlone, running_runtime
from benchmarks.stack import temporary_folder

_ONE_AT_A_TIME, _PAUSE_SECONDS = 40, 0.15
_AT_ONCE = 100
_WARM_BY_DEFAULT = 4
_READY_SECONDS = 30
_COLD_BAR_SECONDS, _WARM_BAR_SECONDS, _AT_ONCE_BAR_SECONDS = 0.060, 0.030, 0.350


async def measure_creation() -> list[Figure]:
    """With no sandbox kept warm, with as many as by default, and with one for each of a hundred."""
    with temporary_folder() as folder:
        async with BareSandbox(folder) as bare:
            figures = []
            async with running_runtime(warm_sandboxes=0) as runtime:
                figures += [await _one_at_a_time(runtime, bare, 0), await _at_once(runtime, bare, 0)]
            async with running_runtime(warm_sandboxes=_WARM_BY_DEFAULT) as runtime:
                figures.append(await _one_at_a_time(runtime, bare, _WARM_BY_DEFAULT))
                figures.append(await _at_once(runtime, bare, _WARM_BY_DEFAULT))
            async with running_runtime(warm_sandboxes=_AT_ONCE) as runtime:
                figures.append(await _at_once(runtime, bare, _AT_ONCE))
            return figures


async def _one_at_a_time(runtime: RuntimeAlone, bare: BareSandbox, warm: int) -> Figure:
    """A while apart, as people and agents ask."""
    ours: list[float] = []
    theirs: list[float] = []
    await _wait_until_ready(runtime, warm)
    for _ in range(_ONE_AT_A_TIME):
        theirs.append(await bare.run_true())
        sandbox, seconds = await _create(runtime)
        ours.append(seconds)
        await sandbox.kill()
        await asyncio.sleep(_PAUSE_SECONDS)
    bar = _WARM_BAR_SECONDS if warm else _COLD_BAR_SECONDS
    met = Bar(f"p50 ≤ {bar * 1000:g} ms", Samples(ours).median <= bar)
    return _figure(f"create → first output, {warm} kept warm", ours, theirs, met)


async def _at_once(runtime: RuntimeAlone, bare: BareSandbox, warm: int) -> Figure:
    began = time.perf_counter()
    theirs = await asyncio.gather(*(_run_bare(bare, began) for _ in range(_AT_ONCE)))
    await _wait_until_ready(runtime, warm)
    made = await asyncio.gather(*(_create(runtime) for _ in range(_AT_ONCE)))
    await asyncio.gather(*(sandbox.kill() for sandbox, _ in made))
    ours = [seconds for _, seconds in made]
    met = Bar("p50 ≤ 350 ms", Samples(ours).median <= _AT_ONCE_BAR_SECONDS)
    return _figure(f"… {_AT_ONCE} at once, {warm} kept warm", ours, theirs, met)


async def _wait_until_ready(runtime: RuntimeAlone, warm: int) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while (await runtime.ask("/runtime/warm"))["ready"] < warm:  # noqa: ASYNC110, it is another process
            await asyncio.sleep(_PAUSE_SECONDS)


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
    await bare.run_true()
    return time.perf_counter() - began


def _figure(what: str, ours: list[float], theirs: list[float], bar: Bar) -> Figure:
    compared = f"bare `bwrap … true`: {Samples(theirs)}"
    return Figure(
        what, str(Samples(ours)), compared, ratio(Samples(ours).median, Samples(theirs).median), bar
    )
