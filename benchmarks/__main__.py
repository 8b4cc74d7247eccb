"""`python -m benchmarks [measurement …]`: bring up a stack, measure it, print a table, stop it all."""

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
from benchmarks.stack import Stack, running_stack
from benchmarks.throughput import measure_throughput

_MOST_SECONDS = 240

# In this order: a list needs the rows that creation left.
_MEASUREMENTS: dict[str, Callable[[Stack], Awaitable[list[Figure]]]] = {
    "creation": measure_creation,
    "listing": measure_listing,
    "commands": measure_commands,
    "delay": measure_delay,
    "throughput": measure_throughput,
    "idle": measure_idle,
}


async def _run(names: list[str]) -> int:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n{await describe_machine()}\n", flush=True)
    figures: list[Figure] = []
    try:
        async with asyncio.timeout(_MOST_SECONDS), running_stack() as stack:
            for name in names:
                started = time.monotonic()
                figures += await _MEASUREMENTS[name](stack)
                print(f"{name}: measured in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    except TimeoutError:
        print(f"Stopped after {_MOST_SECONDS} s; what follows is not all.", file=sys.stderr)
        return 1
    finally:
        if figures:
            print(table(figures))
    return 0


def main() -> int:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measurement", nargs="*", choices=[*_MEASUREMENTS, []], help="default: all of them")
    wanted = parser.parse_args().measurement
    names = [name for name in _MEASUREMENTS if not wanted or name in wanted]
    return asyncio.run(_run(names))


if __name__ == "__main__":
    sys.exit(main())
