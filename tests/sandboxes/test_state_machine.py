"""Whatever is done to a sandbox, in whatever order and at the same moment: its states follow the table."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, update

from commandcenter.access.scope import Scope
from commandcenter.clock import now
from commandcenter.errors import DomainError
from commandcenter.events.records import Event
from commandcenter.providers.errors import ProviderSandboxGoneError
from commandcenter.providers.sandboxes import Provider
from commandcenter.sandboxes.create import CreateSandbox, create_sandbox
from commandcenter.sandboxes.extend import extend_sandbox
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.pause import pause_sandbox, resume_sandbox
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import TRANSITIONS, SandboxStatus, TimeoutAction
from commandcenter.sandboxes.terminate import terminate_sandbox
from commandcenter.sandboxes.upkeep import keep_up
from commandcenter.services import Services
from commandcenter.settings import Settings
from commandcenter.snapshots.create import CreateSnapshot, create_snapshot
from commandcenter.snapshots.delete import delete_snapshot
from tests.fixtures.runtime import RuntimeProcess
from tests.sandboxes.wired import open_domain

CHANGES = {f"sandbox.{kind}" for kind in ("started", "paused", "resumed", "terminated", "failed")}
LIFE = {"sandbox.started", "sandbox.resumed"}
PATIENCE = Patience(orphan=timedelta(0))


@dataclass(frozen=True)
class Machine:
    """Two processes' means, and the real provider behind them."""

    services: Services
    other: Services
    scope: Scope

    @property
    def provider(self) -> Provider:
        return self.services.providers.get("local")

    async def read(self, sandbox_id: UUID) -> Sandbox:
        async with self.services.database.transaction(self.scope.project_id) as session:
            return await session.get_one(Sandbox, sandbox_id)

    async def let_expire(self, sandbox: Sandbox) -> None:
        async with self.services.database.transaction(self.scope.project_id) as session:
            running = (Sandbox.id == sandbox.id, Sandbox.expires_at.is_not(None))
            await session.execute(
                update(Sandbox).where(*running).values(expires_at=now() - timedelta(seconds=1))
            )
        await keep_up(self.other, "local")

    async def sweep(self, _: Sandbox) -> None:
        await reconcile(self.other, self.other.providers.get("local"), PATIENCE)

    async def snapshot(self, sandbox: Sandbox) -> None:
        taken = await create_snapshot(self.services, self.scope, sandbox.id, CreateSnapshot())
        await delete_snapshot(self.other, self.scope, taken.id)

    async def truth(self, sandbox: Sandbox) -> str:
        """What the provider says: running, paused or gone."""
        try:
            return (await self.provider.info(sandbox.provider_sandbox_id or "")).state
        except ProviderSandboxGoneError:
            return "gone"


Action = Callable[[Machine, Sandbox], Awaitable[object]]
ACTIONS: dict[str, Action] = {
    "pause": lambda it, box: pause_sandbox(it.services, it.scope, box.id),
    "resume": lambda it, box: resume_sandbox(it.other, it.scope, box.id),
    "extend": lambda it, box: extend_sandbox(it.services, it.scope, box.id, 600),
    "snapshot": lambda it, box: it.snapshot(box),
    "expire": lambda it, box: it.let_expire(box),
    "sweep": lambda it, box: it.sweep(box),
    "upkeep": lambda it, _: keep_up(it.services, "local"),
    "pause behind our back": lambda it, box: it.provider.pause(box.provider_sandbox_id or ""),
    "resume behind our back": lambda it, box: it.provider.resume(box.provider_sandbox_id or "", 600),
}
ENDS: dict[str, Action] = {
    "terminate": lambda it, box: terminate_sandbox(it.other, it.scope, box.id),
    "kill behind our back": lambda it, box: it.provider.kill(box.provider_sandbox_id or ""),
}
# Ends are rare, so that there is a life before them.
MOMENTS = st.lists(st.sampled_from([*ACTIONS, *ACTIONS, *ENDS]), min_size=1, max_size=4)


@pytest.fixture(scope="module")
async def machine(
    database_url: str, redis_url: str, runtime: RuntimeProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Machine]:
    given_settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        runtime_url=runtime.url,
        runtime_api_key=SecretStr(runtime.api_key),
    )
    async with AsyncExitStack() as stack:
        yield Machine(*await open_domain(stack, given_settings, tmp_path_factory.mktemp("machine")))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(MOMENTS, min_size=1, max_size=6), on_timeout=st.sampled_from(TimeoutAction))
async def test_states_follow_the_table_and_the_provider_agrees_at_the_end(
    machine: Machine, moments: list[list[str]], on_timeout: TimeoutAction
) -> None:
    sandbox = await create_sandbox(
        machine.services, machine.scope, CreateSandbox(ttl_seconds=600, on_timeout=on_timeout)
    )
    for moment in moments:
        outcomes = await asyncio.gather(
            *({**ACTIONS, **ENDS}[name](machine, sandbox) for name in moment), return_exceptions=True
        )
        for outcome in outcomes:
            assert (
                outcome is None or not isinstance(outcome, BaseException) or isinstance(outcome, DomainError)
            )
        await see_a_life_by_the_table(machine, sandbox)
    # Twice: what the first finds out may need the second to act on.
    for _ in range(2):
        await machine.sweep(sandbox)
        await keep_up(machine.services, "local")
    settled = await machine.read(sandbox.id)
    expected = {SandboxStatus.RUNNING: "running", SandboxStatus.PAUSED: "paused"}
    assert await machine.truth(sandbox) == expected.get(settled.status, "gone")
    ended = await terminate_sandbox(machine.services, machine.scope, sandbox.id)
    assert ended.status is SandboxStatus.TERMINATED
    assert ended.termination_reason is not None
    assert (ended.action, ended.action_until) == (None, None)
    assert await machine.truth(sandbox) == "gone"
    await see_a_life_by_the_table(machine, sandbox)


async def see_a_life_by_the_table(machine: Machine, sandbox: Sandbox) -> None:
    """Each change that was told may follow the one before, and the last one is what is stored."""
    async with machine.services.database.transaction(machine.scope.project_id) as session:
        query = select(Event).where(Event.sandbox_id == sandbox.id).order_by(Event.id)
        told = [event for event in await session.scalars(query) if event.kind in CHANGES]
        record = await session.get_one(Sandbox, sandbox.id)
    statuses = [SandboxStatus.CREATING, *(SandboxStatus(event.data["status"]) for event in told)]
    assert all(after in TRANSITIONS[before] for before, after in pairwise(statuses)), statuses
    assert statuses[-1] is record.status
    counted = Counter(event.kind for event in told)
    assert record.incarnation == sum(counted[kind] for kind in LIFE)
    assert counted["sandbox.terminated"] == (record.status is SandboxStatus.TERMINATED)
