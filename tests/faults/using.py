"""A user who does what users do, whatever breaks: asks again with the same key, reads on from the cursor."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.faults.following import BROKEN, END, Follower, again, is_ours
from tests.faults.stack import PROVIDERS
from tests.faults.writers import Writer
from tests.fixtures.client import Client, UnexpectedErrorsError

MOST_SECONDS_OF_A_COMMAND = 6.0
MOST_COMMANDS = 3
# After these the same request may well succeed.
PASSING = {"PROVIDER_UNAVAILABLE", "RATE_LIMITED", "QUOTA_EXCEEDED"}


@dataclass
class Run:
    """A command that a user has run, and what was read of it."""

    sandbox_id: str
    provider: str
    writer: Writer
    follower: Follower
    reading: asyncio.Task[None]
    was_cancelled: bool = False

    async def check(self, clients: Sequence[Client], seconds: float, ended: set[str]) -> str:
        """See that what is said of it is true; returns how it ended. `ended`: sandboxes that users ended."""
        await self.reading
        execution_id = self.follower.execution_id
        end: dict[str, Any] = await again(
            clients, lambda client: client.show_execution(execution_id, END), seconds=seconds
        )
        about = f"{self.provider} {execution_id}: {end}"
        if end["exitCode"] is not None:
            assert end["exitCode"] == self.writer.exit_code, about
            self.follower.require_true(self.writer, whole=True)
        else:
            self.follower.require_true(self.writer, whole=False)
            assert end["status"] != "SUCCEEDED", about
            assert end["signal"] or end["status"] == "LOST", about
            assert self.was_cancelled or self.sandbox_id in ended or self._may_be_lost(end), about
        for stream in ("STDOUT", "STDERR"):
            assert end[f"{stream.lower()}Bytes"] == len(self.follower.streams[stream]), about
        return f"{end['status']} at {self.provider}"

    def _may_be_lost(self, end: dict[str, Any]) -> bool:
        """Whether its end may not have been seen though its sandbox lives."""
        return end["status"] == "LOST" and "Whether it was started is not known" in end["statusReason"]


@dataclass
class User:
    """Uses its own sandboxes, by whichever of the clients' web processes answers."""

    name: str
    clients: Sequence[Client]
    chance: Random
    done: Counter[str] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    _keys: int = 0

    async def work(self, until: float) -> None:
        """Sandbox after sandbox, until the loop's time is `until`."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await self._use_a_sandbox(until)

    async def _use_a_sandbox(self, until: float) -> None:
        provider = self.chance.choice(PROVIDERS)
        sandbox = await self._twice_or_once(
            "createSandbox", "id status", until, provider=provider, ttlSeconds=600
        )
        if sandbox is None:
            return
        for _ in range(self.chance.randint(1, MOST_COMMANDS)):
            run = await self._run(sandbox["id"], provider, until)
            if run is None:
                continue
            await self._pass_time()
            await self._act_on(run, until)
        if self.chance.random() < 0.5:
            self.ended.add(sandbox["id"])
            await self._do("terminateSandbox", "id", until, sandboxId=sandbox["id"])

    async def _run(self, sandbox_id: str, provider: str, until: float) -> Run | None:
        writer = Writer.random(self.chance, most_seconds=MOST_SECONDS_OF_A_COMMAND)
        execution = await self._twice_or_once(
            "executeCommand", "id", until, sandboxId=sandbox_id, command=writer.command
        )
        if execution is None:
            return None
        order = self.chance.sample(list(self.clients), len(self.clients))
        follower = Follower(execution["id"])
        run = Run(sandbox_id, provider, writer, follower, asyncio.create_task(follower.read(order)))
        self.runs.append(run)
        return run

    async def _act_on(self, run: Run, until: float) -> None:
        match self.chance.randrange(5):
            case 0:
                run.was_cancelled = True
                await self._do("cancelExecution", "id", until, executionId=run.follower.execution_id)
            case 1 | 2:
                await self._do("pauseSandbox", "id", until, sandboxId=run.sandbox_id)
                await self._pass_time()
                await self._do("resumeSandbox", "id", until, sandboxId=run.sandbox_id)
            case _:
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(run.reading), self.chance.random() * 5)

    async def _pass_time(self) -> None:
        await asyncio.sleep(self.chance.random())

    async def _twice_or_once(
        self, mutation: str, selection: str, until: float, **values: Any
    ) -> dict[str, Any] | None:
        """Ask with one key, now and then twice at the same moment: the answers are about one thing."""
        self._keys += 1
        values["idempotencyKey"] = f"{self.name}-{self._keys}"
        times = 2 if self.chance.random() < 0.3 else 1
        answers = await asyncio.gather(
            *(self._do(mutation, selection, until, **values) for _ in range(times))
        )
        found = [answer for answer in answers if answer is not None]
        assert len({answer["id"] for answer in found}) <= 1, (mutation, answers)
        return found[0] if found else None

    async def _do(self, mutation: str, selection: str, until: float, **values: Any) -> dict[str, Any] | None:
        """What came of a mutation, asked for again where the answer was lost; None where it was refused."""
        loop = asyncio.get_running_loop()
        self.done[mutation] += 1
        while True:
            client = self.chance.choice(self.clients)
            try:
                async with asyncio.timeout(5):
                    answer: dict[str, Any] = await client.mutate(mutation, selection, **values)
                    return answer
            except BROKEN:
                pass
            except UnexpectedErrorsError as error:
                codes = {one.get("code") for one in error.args[0]}
                if not is_ours(error) and not codes <= PASSING:
                    self.done[f"{mutation} refused: {', '.join(sorted(map(str, codes)))}"] += 1
                    return None
            if loop.time() > until:
                self.done[f"{mutation} given up"] += 1
                return None
            await asyncio.sleep(0.2)
