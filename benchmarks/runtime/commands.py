"""What a command costs by E2B's SDK, against starting the same program on the bare machine."""

import asyncio
import os
import time

from benchmarks.figures import Bar, Figure, Samples, milliseconds, ratio
from benchmarks.runtime.alone import running_runtime

_COMMANDS, _WARM_UP = 300, 30
_BAR_SECONDS = 0.006
# The SDK's shell is one of login; here that would read what this machine's own profile loads.
_PROGRAM = ["/bin/bash", "-c", "true"]


async def measure_commands() -> list[Figure]:
    """`true`, by turns through the asynchronous SDK, the synchronous one, and by a plain spawn."""
    asynchronous: list[float] = []
    synchronous: list[float] = []
    spawned: list[float] = []
    async with running_runtime() as runtime:
        sandbox = await runtime.client.AsyncSandbox.create()
        same = await asyncio.to_thread(runtime.client.Sandbox.connect, sandbox.sandbox_id)
        for _ in range(_WARM_UP + _COMMANDS):
            spawned.append(_spawn())
            began = time.perf_counter()
            await sandbox.commands.run("true")
            between = time.perf_counter()
            same.commands.run("true")
            asynchronous.append(between - began)
            synchronous.append(time.perf_counter() - between)
    plain = Samples(spawned[_WARM_UP:])
    return [
        _figure("`true` by the asynchronous SDK", Samples(asynchronous[_WARM_UP:]), plain),
        _figure("`true` by the synchronous SDK", Samples(synchronous[_WARM_UP:]), plain),
    ]


def _figure(what: str, ours: Samples, plain: Samples) -> Figure:
    return Figure(
        what,
        str(ours),
        f"plain spawn of `{' '.join(_PROGRAM)}`: {plain}",
        f"{ratio(ours.median, plain.median)}, + {milliseconds(ours.median - plain.median)}",
        Bar("p50 ≤ 6 ms", ours.median <= _BAR_SECONDS),
    )


def _spawn() -> float:
    began = time.perf_counter()
    os.waitpid(os.posix_spawn(_PROGRAM[0], _PROGRAM, {}), 0)
    return time.perf_counter() - began
