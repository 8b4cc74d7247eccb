"""No stale action: what was begun for one life of a sandbox changes nothing in the next."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from commandcenter.clock import now
from commandcenter.executions.control import cancel_execution, send_input
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ExecutionStatus
from commandcenter.identifiers import new_id
from commandcenter.providers.attachments import AttachmentDetails
from commandcenter.sandboxes import expire as expiry
from commandcenter.sandboxes.expire import expire
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.pause import pause_sandbox, resume_sandbox
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus, TimeoutAction
from commandcenter.sandboxes.terminate import terminate_sandbox
from commandcenter.sandboxes.upkeep import keep_up
from tests.providers.wire import answer, created, detail, error
from tests.sandboxes.wired import PROVIDER, Held, Wired, wired

__all__ = ["wired"]

DONE = answer(204)
ANOTHER_LIFE: dict[str, Any] = {"incarnation": 2, "action": None, "action_until": None}


def connects(sandbox: Sandbox) -> Any:
    """The provider's answer to a resume."""
    return answer(200, {**created(), "sandboxID": sandbox.provider_sandbox_id})


def lists(wired: Wired, sandbox: Sandbox, state: str) -> Any:
    """The provider's list with one sandbox."""
    return answer(200, [{**detail(state), "sandboxID": sandbox.provider_sandbox_id}])


async def test_a_pause_that_comes_back_in_a_later_life_changes_nothing(wired: Wired) -> None:
    sandbox = await wired.add()
    late = Held(DONE)
    wired.answers("POST", sandbox, late, "/pause")
    pausing = asyncio.create_task(pause_sandbox(wired.services, wired.scope, sandbox.id))
    await late.asked.wait()
    await wired.change(sandbox.id, **ANOTHER_LIFE)
    late.arrives.set()
    assert (await pausing).status == "RUNNING"
    assert (await wired.read(sandbox.id)).incarnation == 2


async def test_a_resume_that_comes_back_after_the_end_revives_nothing(wired: Wired) -> None:
    sandbox = await wired.add(status=SandboxStatus.PAUSED)
    late = Held(connects(sandbox))
    wired.wire.answers["POST", f"/v2/sandboxes/{sandbox.provider_sandbox_id}/connect"] = late
    wired.answers("DELETE", sandbox, DONE)
    resuming = asyncio.create_task(resume_sandbox(wired.services, wired.scope, sandbox.id))
    await late.asked.wait()
    assert (await terminate_sandbox(wired.other, wired.scope, sandbox.id)).status == "TERMINATED"
    late.arrives.set()
    assert (await resuming).status == "TERMINATED"


async def test_an_end_comes_before_a_pause_that_is_under_way(wired: Wired) -> None:
    sandbox = await wired.add()
    late = Held(DONE)
    wired.answers("POST", sandbox, late, "/pause")
    wired.answers("DELETE", sandbox, DONE)
    pausing = asyncio.create_task(pause_sandbox(wired.services, wired.scope, sandbox.id))
    await late.asked.wait()
    assert (await terminate_sandbox(wired.other, wired.scope, sandbox.id)).status == "TERMINATED"
    late.arrives.set()
    assert (await pausing).status == "TERMINATED"


async def test_who_resumes_waits_for_the_pause_that_is_under_way(wired: Wired) -> None:
    sandbox = await wired.add()
    late = Held(DONE)
    wired.answers("POST", sandbox, late, "/pause")
    pausing = asyncio.create_task(pause_sandbox(wired.services, wired.scope, sandbox.id))
    await late.asked.wait()
    second = asyncio.create_task(pause_sandbox(wired.other, wired.scope, sandbox.id))
    late.arrives.set()
    assert (await pausing).status == "PAUSED"
    with pytest.raises(Exception, match="PAUSED"):
        await second
    assert wired.asked("POST", sandbox, "/pause") == 1
    wired.wire.answers["POST", f"/v2/sandboxes/{sandbox.provider_sandbox_id}/connect"] = connects(sandbox)
    resumed = await resume_sandbox(wired.other, wired.scope, sandbox.id)
    assert (resumed.status, resumed.incarnation) == ("RUNNING", 2)


@pytest.mark.parametrize("on_timeout", list(TimeoutAction))
async def test_an_expiry_that_was_read_in_an_earlier_life_is_refused(
    wired: Wired, on_timeout: TimeoutAction
) -> None:
    sandbox = await wired.add(expires_at=now() - timedelta(seconds=1), on_timeout=on_timeout)
    wired.answers("POST", sandbox, DONE, "/pause")
    wired.answers("DELETE", sandbox, DONE)
    await wired.change(sandbox.id, incarnation=2)
    await expire(wired.services, sandbox)
    assert (await wired.read(sandbox.id)).status == "RUNNING"
    await expire(wired.services, await wired.read(sandbox.id))
    ended = await wired.read(sandbox.id)
    assert ended.status == ("PAUSED" if on_timeout is TimeoutAction.PAUSE else "TERMINATED")


@pytest.mark.parametrize(
    ("was", "listed"), [(SandboxStatus.RUNNING, "paused"), (SandboxStatus.PAUSED, "running")]
)
async def test_a_list_that_is_older_than_a_life_changes_nothing_in_it(
    wired: Wired, was: SandboxStatus, listed: str
) -> None:
    sandbox = await wired.add(status=was)
    late = Held(lists(wired, sandbox, listed))
    wired.wire.answers["GET", "/v2/sandboxes"] = late
    sweeping = asyncio.create_task(
        reconcile(wired.services, wired.services.providers.get(PROVIDER), Patience())
    )
    await late.asked.wait()
    await wired.change(sandbox.id, incarnation=2)
    late.arrives.set()
    await sweeping
    wired.wire.answers["GET", "/v2/sandboxes"] = answer(200, [])
    assert (await wired.read(sandbox.id)).status is was
    assert wired.asked("POST", sandbox, "/pause") == 0
    assert await wired.events(sandbox.id) == []


async def test_the_sweep_leaves_alone_what_somebody_is_at(wired: Wired) -> None:
    resumed = await wired.add(
        status=SandboxStatus.PAUSED,
        action=SandboxAction.RESUME,
        action_until=now() + timedelta(seconds=60),
    )
    wired.wire.answers["GET", "/v2/sandboxes"] = lists(wired, resumed, "running")
    wired.answers("POST", resumed, DONE, "/pause")
    provider = wired.services.providers.get(PROVIDER)
    await reconcile(wired.services, provider, Patience())
    assert wired.asked("POST", resumed, "/pause") == 0
    await wired.change(resumed.id, action_until=now() - timedelta(seconds=1))
    await reconcile(wired.services, provider, Patience())
    wired.wire.answers["GET", "/v2/sandboxes"] = answer(200, [])
    assert wired.asked("POST", resumed, "/pause") == 1
    assert [event.kind for event in await wired.events(resumed.id)] == ["sandbox.paused_again"]


@pytest.mark.parametrize("answers_info", [True, False])
async def test_a_sandbox_that_cannot_be_paused_ends_where_its_provider_answers(
    wired: Wired, answers_info: bool
) -> None:
    sandbox = await wired.add(expires_at=now() - timedelta(seconds=1), on_timeout=TimeoutAction.PAUSE)
    wired.answers("POST", sandbox, error(405, "there is no pause"), "/pause")
    wired.answers("DELETE", sandbox, DONE)
    if not answers_info:
        wired.answers("GET", sandbox, error(503, "not now"))
    for attempt in range(1, expiry._MOST_PAUSES + 1):
        await asyncio.gather(keep_up(wired.services, PROVIDER), keep_up(wired.other, PROVIDER))
        assert wired.asked("POST", sandbox, "/pause") == attempt
        current = await wired.read(sandbox.id)
        if current.status is SandboxStatus.RUNNING:
            assert f"tried {attempt} times" in (current.status_reason or "")
            await wired.change(sandbox.id, retry_at=now() - timedelta(seconds=1))
    ended = await wired.read(sandbox.id)
    if not answers_info:
        assert (ended.status, ended.termination_requested_at) == ("RUNNING", None)
        await terminate_sandbox(wired.services, wired.scope, sandbox.id)
        return
    assert (ended.status, ended.termination_reason) == ("TERMINATED", "TTL")
    assert "could not pause it" in (ended.status_reason or "")
    kinds = [event.kind for event in await wired.events(sandbox.id)]
    assert kinds == ["sandbox.pause_given_up", "sandbox.termination_requested", "sandbox.terminated"]


async def test_a_process_of_an_earlier_life_is_not_taken_for_a_new_one(
    wired: Wired,
) -> None:
    """The provider lost its processes in a pause, and gave the number to another."""
    attached = AttachmentDetails("irestarted", "test", "0.6.13")
    sandbox = await wired.add(incarnation=2, attachment=attached.as_json())
    execution_id = await add_execution(wired, sandbox, incarnation=1, pid=7, has_stdin=True)
    another = {"pid": 7, "tag": str(new_id()), "config": {"cmd": "/bin/bash"}}
    wired.wire.answers["POST", "/process.Process/List"] = answer(200, {"processes": [another]})
    wired.wire.answers["POST", "/process.Process/SendInput"] = answer(200, {})
    await cancel_execution(wired.services, wired.scope, execution_id)
    await send_input(wired.services, wired.scope, execution_id, b"x")
    asked = {one.path: one.body for one in wired.wire.received if one.path.startswith("/process.Process/")}
    assert "/process.Process/Start" not in asked, "nothing was started to end the other process"
    assert json.loads(asked["/process.Process/SendInput"])["process"] == {"tag": str(execution_id)}


async def test_a_silent_terminal_keeps_a_sandbox_from_being_idle(wired: Wired) -> None:
    sandbox = await wired.add(idle_timeout_seconds=1, last_activity_at=now() - timedelta(seconds=60))
    wired.answers("DELETE", sandbox, DONE)
    terminal_id = await add_execution(wired, sandbox, is_terminal=True)
    await keep_up(wired.services, PROVIDER)
    assert (await wired.read(sandbox.id)).status == "RUNNING"
    async with wired.services.database.transaction(wired.scope.project_id) as session:
        ended = update(Execution).where(Execution.id == terminal_id)
        await session.execute(ended.values(status=ExecutionStatus.SUCCEEDED))
    await keep_up(wired.services, PROVIDER)
    idle = await wired.read(sandbox.id)
    assert (idle.status, idle.termination_reason) == ("TERMINATED", "IDLE")


async def add_execution(wired: Wired, sandbox: Sandbox, **values: Any) -> UUID:
    """The id of a running execution that nothing stands behind."""
    execution_id = new_id()
    given = {"incarnation": sandbox.incarnation, "number": 1, "command": "cat", "created_by": "key:tests"}
    async with wired.services.database.transaction(wired.scope.project_id) as session:
        session.add(
            Execution(
                id=execution_id,
                project_id=wired.scope.project_id,
                sandbox_id=sandbox.id,
                status=ExecutionStatus.RUNNING,
                **{**given, **values},
            )
        )
    return execution_id
