"""Ten forks of a sandbox that holds 500 MB, against `cp` of as much."""

import os
import subprocess
import time
from pathlib import Path

from e2b import AsyncSandbox

from benchmarks.figures import Bar, Figure, Samples, milliseconds, ratio
from benchmarks.runtime.alone import running_runtime
from benchmarks.stack import temporary_folder

_MEGABYTES, _FORKS, _ROUNDS = 500, 10, 3
_BAR_SECONDS = 0.5
_CONTENT = f"head -c {_MEGABYTES}MB /dev/urandom > content"


async def measure_forks() -> list[Figure]:
    """From the request until the last fork runs, of a sandbox whose files were written just before."""
    ours: list[float] = []
    theirs: list[float] = []
    with temporary_folder() as folder:
        (folder / "content").write_bytes(os.urandom(_MEGABYTES * 1_000_000))
        async with running_runtime() as runtime:
            for _ in range(_ROUNDS):
                theirs.append(_copy(folder))
                sandbox = await runtime.client.AsyncSandbox.create()
                await sandbox.commands.run(_CONTENT)
                began = time.perf_counter()
                forks = await sandbox.fork(count=_FORKS)
                ours.append(time.perf_counter() - began)
                for fork in forks:
                    await _check(fork)
                await sandbox.kill()
    median = Samples(ours).median
    return [
        Figure(
            f"{_FORKS} forks of a sandbox of {_MEGABYTES} MB",
            milliseconds(median),
            f"one cp of {_MEGABYTES} MB: {milliseconds(Samples(theirs).median)}",
            ratio(median, Samples(theirs).median),
            Bar("≤ 500 ms", median <= _BAR_SECONDS),
        )
    ]


async def _check(fork: AsyncSandbox | Exception) -> None:
    """A fork has all the content; it is ended then."""
    if isinstance(fork, Exception):
        raise fork
    size = (await fork.commands.run("stat -c %s content")).stdout.strip()
    if size != f"{_MEGABYTES}000000":
        raise RuntimeError(f"A fork holds {size} bytes.")
    await fork.kill()


def _copy(folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["/bin/cp", str(folder / "content"), str(folder / "copy")], check=True, timeout=60)
    return time.perf_counter() - began
