"""What a sandbox that does nothing holds of the machine's memory."""

import asyncio
from pathlib import Path

from benchmarks.figures import Bar, Figure
from benchmarks.machine import family
from benchmarks.runtime.alone import running_runtime

_SANDBOXES = 50
_SETTLE_SECONDS = 1.0
_BAR_MEGABYTES = 5
_KIB_PER_MEGABYTE = 1_000_000 / 1024


async def measure_memory() -> list[Figure]:
    """Fifty that have run a command each: what the machine has less, and their processes' own shares."""
    async with running_runtime(warm_sandboxes=0) as runtime:
        first = await runtime.client.AsyncSandbox.create()
        await first.commands.run("true")
        await asyncio.sleep(_SETTLE_SECONDS)
        free_before, share = available(), _share(runtime.process_id)
        for _ in range(_SANDBOXES):
            sandbox = await runtime.client.AsyncSandbox.create()
            await sandbox.commands.run("true")
        await asyncio.sleep(_SETTLE_SECONDS)
        taken = (free_before - available()) / _KIB_PER_MEGABYTE / _SANDBOXES
        own = (_share(runtime.process_id) - share) / _KIB_PER_MEGABYTE / _SANDBOXES
    return [
        Figure(
            f"memory of an idle sandbox, of {_SANDBOXES}",
            f"{taken:.1f} MB",
            f"proportional share of its processes and of the runtime: {own:.1f} MB",
            bar=Bar(f"≤ {_BAR_MEGABYTES} MB", taken <= _BAR_MEGABYTES),
        )
    ]


def available() -> int:
    """What the machine has free or could free, in KiB."""
    return _kibibytes(Path("/proc/meminfo"), "MemAvailable:")


def _share(process_id: int) -> int:
    """The proportional memory of a process and all that descend from it, in KiB."""
    total = 0
    for each in family(process_id):
        try:
            total += _kibibytes(Path(f"/proc/{each}/smaps_rollup"), "Pss:")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def _kibibytes(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
