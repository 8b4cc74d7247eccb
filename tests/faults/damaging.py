"""Damage at moments and places that nobody chose: one thing after another, several at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Protocol

from processes.errors import StartError
from tests.faults.cloud import CONTROL_PLANE, Fault, LostAnswer, Refusal, Silence, Slowness
from tests.faults.parts import Part
from tests.faults.stack import Process, Stack

AT_ONCE = 2
MOST_PAUSE_SECONDS = 2.0
MOST_AWAY_SECONDS = 2.0
# Long enough for a lease to run out, once in a while.
LONG_STOP_SECONDS = 14.0
LONG_STOPS = 0.1
PROVIDER_FAULTS: Sequence[Fault] = (
    Refusal(404),
    Refusal(409),
    Refusal(429, retry_after_seconds=1),
    Refusal(500),
    Refusal(502),
    Refusal(503),
    LostAnswer(),
    Slowness(0.5),
    Silence(),
)
DATA_PLANE = r"/(process\.Process|filesystem\.Filesystem|files)"
# An answer of 404 says that a process or file is not there: who believes it is not at fault.
DATA_PLANE_FAULTS: Sequence[Fault] = (Refusal(502), Refusal(503), LostAnswer(), Slowness(0.5))


class _Killable(Protocol):
    async def kill(self) -> None: ...

    async def start(self) -> None: ...


class Damage:
    """Does damage to a stack until it is cancelled; `done` counts what it did."""

    def __init__(self, stack: Stack, chance: Random) -> None:
        self.done: Counter[str] = Counter()
        self._stack = stack
        self._chance = chance
        self._busy: set[int] = set()
        self._kinds: Sequence[Callable[[], Awaitable[None]]] = (
            *[self._kill_one_of_ours] * 2,
            self._kill_a_server,
            self._kill_the_runtime,
            *[self._stop_one] * 2,
            *[self._break_a_link] * 5,
            *[self._let_the_cloud_fail] * 4,
        )

    async def go_on(self) -> None:
        """One damage after another."""
        while True:
            await asyncio.sleep(self._chance.random() * MOST_PAUSE_SECONDS)
            await self._chance.choice(self._kinds)()

    async def _kill_one_of_ours(self) -> None:
        await self._kill(self._one().part)

    async def _kill_a_server(self) -> None:
        await self._kill(self._chance.choice([self._stack.postgresql, self._stack.valkey]))

    async def _kill_the_runtime(self) -> None:
        await self._kill(self._stack.runtime, "runtime")

    async def _kill(self, part: _Killable, name: str | None = None) -> None:
        async with self._taken(part) as is_mine:
            if is_mine:
                self.done[f"killed {name or getattr(part, 'name', '')}"] += 1
                await part.kill()
                await asyncio.sleep(self._chance.random() * MOST_AWAY_SECONDS)
                await _start(part)

    async def _stop_one(self) -> None:
        part: Part = self._chance.choice([self._stack.valkey, *(one.part for one in self._stack.processes)])
        is_long = self._chance.random() < LONG_STOPS
        seconds = LONG_STOP_SECONDS if is_long else self._chance.random() * MOST_AWAY_SECONDS
        async with self._taken(part) as is_mine:
            if is_mine and part.is_running:
                self.done[f"stopped {part.name}"] += 1
                with part.standing_still():
                    await asyncio.sleep(seconds)

    async def _break_a_link(self) -> None:
        link = self._chance.choice(self._one().links)
        seconds = self._chance.random() * MOST_AWAY_SECONDS
        kind = self._chance.choice(["cut", "half closed", "stalled", "closed", "delayed"])
        self.done[f"{kind} a connection"] += 1
        match kind:
            case "cut":
                link.cut()
            case "half closed":
                link.half_close()
            case "stalled":
                with link.stalled():
                    await asyncio.sleep(seconds)
            case "closed":
                with link.closed():
                    await asyncio.sleep(seconds)
            case "delayed":
                link.delay_seconds = self._chance.random() / 10
                await asyncio.sleep(seconds)
                link.delay_seconds = 0.0

    async def _let_the_cloud_fail(self) -> None:
        seconds = self._chance.random() * MOST_AWAY_SECONDS
        path, faults = self._chance.choice(
            [(CONTROL_PLANE, PROVIDER_FAULTS), (DATA_PLANE, DATA_PLANE_FAULTS)]
        )
        with self._stack.cloud.share(self._chance, 0.5, faults, path=path) as rule:
            await asyncio.sleep(seconds)
        self.done["faults of the cloud"] += rule.count

    def _one(self) -> Process:
        return self._chance.choice(self._stack.processes)

    @asynccontextmanager
    async def _taken(self, part: object) -> AsyncIterator[bool]:
        """Whether nobody else does damage to the part just now."""
        is_mine = id(part) not in self._busy
        self._busy.add(id(part))
        try:
            yield is_mine
        finally:
            if is_mine:
                self._busy.discard(id(part))


async def _start(part: _Killable) -> None:
    """Start it; where what it needs is away, whoever heals will do so."""
    with suppress(StartError):
        await part.start()


@asynccontextmanager
async def damage(stack: Stack, chance: Random) -> AsyncIterator[Damage]:
    """Damage for the length of the block; then everything is healed."""
    doing = Damage(stack, chance)
    tasks = [asyncio.create_task(doing.go_on()) for _ in range(AT_ONCE)]
    try:
        yield doing
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await stack.heal()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
