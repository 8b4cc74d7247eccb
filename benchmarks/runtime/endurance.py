"""Very many sandboxes: five hundred alive at once, and thousands one after the other."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from e2b import AsyncSandbox

from benchmarks.figures import Bar, Figure, Samples, milliseconds, per_second, ratio
from benchmarks.machine import family
from benchmarks.runtime.alone import RuntimeAlone, running_runtime
from benchmarks.runtime.memory import available

_ALIVE, _COMPARED = 500, 50
_ENDED, _WARM_UP, _AT_ONCE = 5_000, 100, 4
_MEGABYTE = 1_000_000
_SETTLE_SECONDS = 15
_FLAT = 1.5
"""How many times the first ones' time the last ones may take."""


async def measure_many_alive() -> list[Figure]:
    """Whether the last ones of five hundred are made, and run commands, as quickly as the first."""
    made: list[float] = []
    async with running_runtime(warm_sandboxes=0, sandbox_limit=_ALIVE) as runtime:
        sandboxes: list[AsyncSandbox] = []
        first_commands: list[float] = []
        free_before = available()
        for number in range(_ALIVE):
            began = time.perf_counter()
            sandboxes.append(await runtime.client.AsyncSandbox.create(timeout=3600))
            made.append(time.perf_counter() - began)
            if number == _COMPARED:
                first_commands = await _run_commands(sandboxes)
        taken = (free_before - available()) * 1024 / _ALIVE
        last_commands = await _run_commands(sandboxes[-_COMPARED:])
        started = time.perf_counter()
        await asyncio.gather(*(_end_all(sandboxes[at::_AT_ONCE]) for at in range(_AT_ONCE)))
        ended = time.perf_counter() - started
    return [
        _compared(f"create, the last {_COMPARED} of {_ALIVE} alive", made[-_COMPARED:], made[:_COMPARED]),
        _compared("… `true` in them", last_commands, first_commands),
        Figure("… memory of each", f"{taken / _MEGABYTE:.1f} MB"),
        Figure("… ended", per_second(_ALIVE, ended)),
    ]


async def measure_many_ended() -> list[Figure]:
    """What five thousand sandboxes that were made, used and ended leave behind."""
    async with running_runtime() as runtime:
        await _make_and_end(runtime, _WARM_UP)
        before = await _settled(runtime, {})
        began = time.perf_counter()
        await _make_and_end(runtime, _ENDED)
        seconds = time.perf_counter() - began
        after = await _settled(runtime, before)
    left = {name: after[name] - before[name] for name in after}
    return [
        Figure(f"{_ENDED:,} sandboxes made, used and ended", per_second(_ENDED, seconds)),
        Figure(
            "… what they left",
            ", ".join(f"{count:+} {name}" for name, count in left.items()),
            bar=Bar("nothing", all(count <= 0 for count in left.values())),
        ),
    ]


async def _make_and_end(runtime: RuntimeAlone, count: int) -> None:
    async def one_after_the_other(share: int) -> None:
        for _ in range(share):
            sandbox = await runtime.client.AsyncSandbox.create()
            await sandbox.commands.run("echo used > file")
            await sandbox.kill()

    await asyncio.gather(*(one_after_the_other(count // _AT_ONCE) for _ in range(_AT_ONCE)))


async def _settled(runtime: RuntimeAlone, before: dict[str, int]) -> dict[str, int]:
    """The counts, when the warm ones are there again and what ends behind everybody's back has ended."""
    ends_at = time.monotonic() + _SETTLE_SECONDS
    while True:
        warm = await runtime.ask("/runtime/warm")
        counts = await asyncio.to_thread(_counts, runtime)
        is_quiet = warm["ready"] == warm["size"] and all(counts[each] <= before[each] for each in before)
        if (is_quiet and before) or time.monotonic() > ends_at:
            return counts
        await asyncio.sleep(0.5)


def _counts(runtime: RuntimeAlone) -> dict[str, int]:
    processes = family(runtime.process_id)
    own = Path("/proc", str(runtime.process_id))
    return {
        "processes": len(processes),
        "descriptors": len([*(own / "fd").iterdir()]),
        "mounts": len((own / "mountinfo").read_text().splitlines()),
        "namespaces": len({kind.readlink() for pid in processes for kind in _namespaces(pid)}),
        "cgroups": sum("commandcenter-" in folder for folder, _, _ in os.walk("/sys/fs/cgroup")),
        "loop devices": len([*Path("/sys/block").glob("loop*/loop/backing_file")]),
        "folders": len([*(runtime.state / "sandboxes").iterdir()]),
    }


def _namespaces(process_id: int) -> Sequence[Path]:
    try:
        return [*Path("/proc", str(process_id), "ns").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []


async def _run_commands(sandboxes: Sequence[AsyncSandbox]) -> list[float]:
    seconds = []
    for sandbox in sandboxes:
        await sandbox.commands.run("true")
        began = time.perf_counter()
        await sandbox.commands.run("true")
        seconds.append(time.perf_counter() - began)
    return seconds


async def _end_all(sandboxes: Sequence[AsyncSandbox]) -> None:
    for sandbox in sandboxes:
        await sandbox.kill()


def _compared(what: str, last: Sequence[float], first: Sequence[float]) -> Figure:
    ours, theirs = Samples(last).median, Samples(first).median
    flat = Bar(f"≤ {_FLAT:g}x", ours <= _FLAT * theirs)
    return Figure(what, milliseconds(ours), f"the first: {milliseconds(theirs)}", ratio(ours, theirs), flat)
