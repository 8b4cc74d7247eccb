"""Children started together, watched, started again when they die, and stopped in order.

It knows nothing of what the children do: a `ChildPlan` says how each is started, seen to be ready and
stopped.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from processes.child import Child, ChildPlan, said
from processes.errors import StartError
from processes.leftovers import ChildRecord
from processes.log_files import RotatingLog

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LEFTOVER_GRACE_SECONDS = 10.0
STEADY_SECONDS = 60.0
"""A child that ran this long starts again after the first pause, however often it died before."""


class Supervisor:
    """The children of one start, in the order in which they came.

    `logs` takes each child's output, `records` says which processes they are, `say` takes a line for people.
    """

    def __init__(
        self,
        *,
        logs: Path,
        records: Path,
        say: Callable[[str], None],
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._logs = logs
        self._records = records
        self._say = say
        self._first_pause_seconds = first_pause_seconds
        self._children: list[Child] = []
        self._output: list[RotatingLog] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._hurry = asyncio.Event()

    async def end_leftovers(self) -> None:
        """End what an earlier start, itself killed, may have left running."""
        records = [ChildRecord(path) for path in sorted(self._records.glob("*.json"))]
        await asyncio.gather(*(record.end(LEFTOVER_GRACE_SECONDS) for record in records))

    async def start(self, plan: ChildPlan) -> float:
        """Start a child, wait until it is ready and keep it running; returns the seconds it took.

        Raises `StartError`; the child that failed is stopped with the others by `stop`.
        """
        started = time.monotonic()
        output = RotatingLog(self._logs / f"{plan.name}.log")
        child = Child(plan, output)
        self._output.append(output)
        self._children.append(child)
        await self._start(child)
        self._keepers.append(asyncio.create_task(self._keep_running(child)))
        return time.monotonic() - started

    @property
    def has_children(self) -> bool:
        """Whether any child was started."""
        return bool(self._children)

    async def stop(self) -> None:
        """Stop all children, the last started first; each gets its grace."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for child in reversed(self._children):
            started = time.monotonic()
            code = await child.stop(self._hurry)
            if code is not None:
                self._record(child.plan.name).forget()
            if code == -child.plan.hurry_signal:
                seconds = time.monotonic() - started
                self._say(f"{child.plan.name} did not end within {seconds:.1f} s and was killed")
        for output in self._output:
            output.close()

    def hurry(self) -> None:
        """Stop waiting for children to end by themselves."""
        self._hurry.set()

    async def _start(self, child: Child) -> None:
        await child.start()
        self._record(child.plan.name).note(child.process_id, child.plan.stop_signal)
        await child.wait_until_ready()

    async def _keep_running(self, child: Child) -> None:
        pause = self._first_pause_seconds
        while True:
            since = time.monotonic()
            end = said(await child.ended())
            if time.monotonic() - since >= STEADY_SECONDS:
                pause = self._first_pause_seconds
            pause = await self._start_again(child, end, pause)

    async def _start_again(self, child: Child, end: str, pause: float) -> float:
        """Start `child` until it is ready; returns the pause before the next time, should it end again."""
        name, trouble = child.plan.name, f"ended ({end})"
        while True:
            self._say(f"{name} {trouble}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                await self._start(child)
            except StartError as error:
                await child.stop(self._hurry)
                trouble = f"did not start: {error}"
            else:
                self._say(f"{name} is ready again")
                return pause

    def _record(self, name: str) -> ChildRecord:
        return ChildRecord(self._records / f"{name}.json")
