"""`python -m benchmarks [measurement …]`: bring up what is measured, print a table, stop it all."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from benchmarks.commands import measure_commands
from benchmarks.creation import measure_creation
from benchmarks.delay import measure_delay
from benchmarks.figures import Figure, table
from benchmarks.idle import measure_idle
from benchmarks.listing import measure_listing
from benchmarks.machine import describe_machine
from benchmarks.runtime import commands, creation, endurance, files, forks, memory, streams
from benchmarks.stack import Stack, running_stack
from benchmarks.throughput import measure_throughput

_MOST_SECONDS, _ENDURANCE_SECONDS = 240, 1_200

# In this order: a list needs the rows that creation left.
_OF_THE_PRODUCT: dict[str, Callable[[Stack], Awaitable[list[Figure]]]] = {
    "creation": measure_creation,
    "listing": measure_listing,
    "commands": measure_commands,
    "delay": measure_delay,
    "throughput": measure_throughput,
    "idle": measure_idle,
}
_OF_THE_RUNTIME: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "runtime-creation": creation.measure_creation,
    "runtime-commands": commands.measure_commands,
    "runtime-streams": streams.measure_streams,
    "runtime-files": files.measure_files,
    "runtime-memory": memory.measure_memory,
    "runtime-forks": forks.measure_forks,
}
# Minutes each: not among those that are measured unless somebody asks.
_OF_ENDURANCE: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "many-alive": endurance.measure_many_alive,
    "many-ended": endurance.measure_many_ended,
}
_SETS = {"product": [*_OF_THE_PRODUCT], "runtime": [*_OF_THE_RUNTIME]}


async def _measure_product(names: list[str], figures: list[Figure]) -> None:
    async with running_stack() as stack:
        for name in names:
            await _add(figures, name, _OF_THE_PRODUCT[name](stack))


async def _measure_runtime(names: list[str], figures: list[Figure]) -> None:
    for name in names:
        await _add(figures, name, (_OF_THE_RUNTIME | _OF_ENDURANCE)[name]())


async def _add(figures: list[Figure], name: str, measuring: Awaitable[list[Figure]]) -> None:
    began = time.monotonic()
    figures += await measuring
    print(f"{name}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


async def _run(wanted: set[str]) -> int:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n{await describe_machine()}\n", flush=True)
    for of_what, measure, offered in (
        ("CommandCenter", _measure_product, _OF_THE_PRODUCT),
        ("the runtime", _measure_runtime, _OF_THE_RUNTIME | _OF_ENDURANCE),
    ):
        most_seconds = _MOST_SECONDS if wanted.isdisjoint(_OF_ENDURANCE) else _ENDURANCE_SECONDS
        names = [name for name in offered if name in wanted]
        figures: list[Figure] = []
        try:
            if names:
                async with asyncio.timeout(most_seconds):
                    await measure(names, figures)
        except TimeoutError:
            print(f"Stopped after {most_seconds} s; what follows is not all.", file=sys.stderr)
            return 1
        finally:
            if figures:
                print(table(figures, of_what), flush=True)
    return 0


def main() -> int:
    """Measure what is named, or everything."""
    choices = [*_SETS, *_OF_THE_PRODUCT, *_OF_THE_RUNTIME, *_OF_ENDURANCE]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    offered = "default: all but those of endurance"
    parser.add_argument("measurement", nargs="*", choices=[*choices, []], help=offered)
    named = parser.parse_args().measurement or [*_SETS]
    return asyncio.run(_run({each for name in named for each in _SETS.get(name, [name])}))


if __name__ == "__main__":
    sys.exit(main())
