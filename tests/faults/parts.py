"""One process of the product that a test may kill, stop and start again on the same data."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from processes.child import Child, ChildPlan
from tests.fixtures.children import Heard

_GONE_SECONDS = 20


class Part:
    """A child process by its plan; `child` stays the same over every restart, its process id doesn't."""

    def __init__(self, plan: ChildPlan) -> None:
        self.said = Heard()
        self.child = Child(plan, self.said)
        self._stopped = False

    @property
    def name(self) -> str:
        """What the plan calls it."""
        return self.child.plan.name

    @property
    def process_id(self) -> int:
        """Of the process that was started last."""
        return self.child.process_id

    @property
    def is_running(self) -> bool:
        """Whether its process is there, stopped or not."""
        return exists(self.process_id)

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        await self.child.start()
        await self.child.wait_until_ready()

    async def end(self) -> None:
        """Stop it as a service manager would."""
        self.go_on()
        await self.child.stop(asyncio.Event())

    async def kill(self) -> None:
        """SIGKILL for it and for all that it started."""
        self._stopped = False
        group = [self.process_id, *children_of(self.process_id)]
        for process_id in group:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        await self.child.ended()
        async with asyncio.timeout(_GONE_SECONDS):
            while any(exists(process_id) for process_id in group):
                await asyncio.sleep(0.01)

    async def restart(self) -> None:
        """Kill it, and start it again."""
        await self.kill()
        await self.start()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stopped (SIGSTOP) for the length of the block."""
        os.kill(self.process_id, signal.SIGSTOP)
        self._stopped = True
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        """Let a process that stands still go on."""
        if self._stopped:
            self._stopped = False
            with suppress(ProcessLookupError):
                os.kill(self.process_id, signal.SIGCONT)

    async def heal(self) -> None:
        """See that it runs and is ready, also where its start was given up half-way."""
        self.go_on()
        if self.is_running:
            await self.child.wait_until_ready()
        else:
            await self.start()


def children_of(process_id: int) -> list[int]:
    """The processes that a process has started itself; PostgreSQL's are in sessions of their own."""
    found = []
    for task in Path(f"/proc/{process_id}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def exists(process_id: int) -> bool:
    """Whether a process lives; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def resident_bytes(process_id: int) -> int:
    """Memory that a process holds."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
