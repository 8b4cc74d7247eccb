"""Ends always come: whatever the provider answers, the wish is kept and tried again, and nobody hammers."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from commandcenter.clock import now
from commandcenter.providers.errors import ProviderUnavailableError
from commandcenter.retries import seconds_until_retry
from commandcenter.sandboxes import finish
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus, TerminationReason
from commandcenter.sandboxes.terminate import terminate_sandbox, terminate_sandboxes
from commandcenter.sandboxes.upkeep import keep_up
from tests.providers.wire import answer, detail, error, never
from tests.sandboxes.wired import PROVIDER, Held, Wired, wired

__all__ = ["wired"]

GONE = error(404, "there is no such sandbox")
DONE = answer(204)
FAILURES: dict[str, Any] = {
    "conflict": error(409, "it is being moved"),
    "rate limited": error(429, "slow down"),
    "failing": error(500, "out of order"),
    "a proxy's page": answer(502, b"<html>Bad Gateway</html>"),
    "garbage": answer(418, b"\x00\xff"),
    "never": never,
}


async def due_again(wired: Wired, sandbox: Sandbox) -> None:
    """Let the time pass until the next attempt."""
    await wired.change(sandbox.id, retry_at=now() - timedelta(seconds=1))


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_end_comes_once_the_provider_answers_and_is_explained_until_then(
    wired: Wired, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    monkeypatch.setattr(finish, "ANSWER_SECONDS", 1.0)
    sandbox = await wired.add()
    wired.answers("DELETE", sandbox, FAILURES[failure])
    first = await terminate_sandbox(wired.services, wired.scope, sandbox.id)
    assert (first.status, first.termination_reason) == ("RUNNING", "USER")
    assert "tried 1 times" in (first.status_reason or "")
    again = await terminate_sandbox(wired.other, wired.scope, sandbox.id)
    await keep_up(wired.services, PROVIDER)
    assert (again.status, wired.asked("DELETE", sandbox)) == ("RUNNING", 1), "it was not time yet"
    await due_again(wired, sandbox)
    await asyncio.gather(keep_up(wired.services, PROVIDER), keep_up(wired.other, PROVIDER))
    assert wired.asked("DELETE", sandbox) == 2
    assert "tried 2 times" in ((await wired.read(sandbox.id)).status_reason or "")
    wired.answers("DELETE", sandbox, DONE)
    await due_again(wired, sandbox)
    await keep_up(wired.other, PROVIDER)
    ended = await wired.read(sandbox.id)
    assert (ended.status, ended.termination_reason, ended.status_reason) == ("TERMINATED", "USER", None)
    kinds = [event.kind for event in await wired.events(sandbox.id)]
    assert kinds == ["sandbox.termination_requested", "sandbox.terminated"]


async def test_what_the_provider_does_not_have_any_more_has_ended(wired: Wired) -> None:
    sandbox = await wired.add()
    wired.answers("DELETE", sandbox, GONE)
    assert (await terminate_sandbox(wired.services, wired.scope, sandbox.id)).status == "TERMINATED"


async def test_a_provider_that_asks_for_patience_gets_it(wired: Wired) -> None:
    sandbox = await wired.add()
    wired.answers("DELETE", sandbox, error(429, "slow down", {"Retry-After": "100"}))
    await terminate_sandbox(wired.services, wired.scope, sandbox.id)
    retry_at = (await wired.read(sandbox.id)).retry_at
    assert retry_at is not None
    assert 95 <= (retry_at - now()).total_seconds() <= 100


def test_attempts_come_later_each_time_within_bounds() -> None:
    unavailable = ProviderUnavailableError("no answer")
    waits = [seconds_until_retry(attempts, unavailable) for attempts in (1, 2, 3, 4, 100)]
    assert waits == sorted(waits)[:3] + waits[3:]
    assert all(1.5 <= wait <= 15 for wait in waits), "an end comes within 30 s of the provider's return"
    for advised, longest in ((60.0, 60.0), (1e9, 300.0), (0.0, 2.0)):
        advice = ProviderUnavailableError("busy", retry_after_seconds=advised)
        assert seconds_until_retry(1, advice) <= longest
        assert seconds_until_retry(1, advice) >= min(advised, 300)


@pytest.mark.parametrize("status", [SandboxStatus.CREATING, SandboxStatus.FAILED])
async def test_what_was_made_without_our_hearing_of_it_is_ended_by_its_mark(
    wired: Wired, status: SandboxStatus
) -> None:
    unheard = await wired.add(status=status)
    listed = {**detail(), "sandboxID": unheard.provider_sandbox_id}
    await wired.change(unheard.id, provider_sandbox_id=None)
    wired.answers("DELETE", unheard, DONE)
    wired.wire.answers["GET", "/v2/sandboxes"] = error(503, "not now")
    waiting = await terminate_sandbox(wired.services, wired.scope, unheard.id)
    assert waiting.status is status, "whether anything runs is not known"
    wired.wire.answers["GET", "/v2/sandboxes"] = answer(200, [listed])
    await due_again(wired, unheard)
    await keep_up(wired.services, PROVIDER)
    wired.wire.answers["GET", "/v2/sandboxes"] = answer(200, [])
    assert (await wired.read(unheard.id)).status == "TERMINATED"
    assert wired.asked("DELETE", unheard) == 1


async def test_many_at_the_same_moment_ask_the_provider_once(wired: Wired) -> None:
    sandbox = await wired.add()
    on_its_way = Held(DONE)
    wired.answers("DELETE", sandbox, on_its_way)
    asking = [
        asyncio.create_task(terminate_sandbox(services, wired.scope, sandbox.id))
        for services in (wired.services, wired.other, wired.services)
    ]
    await on_its_way.asked.wait()
    await keep_up(wired.other, PROVIDER)
    on_its_way.arrives.set()
    assert {(await each).status for each in asking} == {"TERMINATED"}
    assert wired.asked("DELETE", sandbox) == 1
    assert len(await wired.events(sandbox.id)) == 2


async def test_an_attempt_whose_process_died_is_taken_over(wired: Wired) -> None:
    sandbox = await wired.add()
    wired.answers("DELETE", sandbox, DONE)
    await wired.change(
        sandbox.id,
        termination_requested_at=now(),
        termination_reason=TerminationReason.USER,
        action=SandboxAction.TERMINATE,
        action_until=now() + timedelta(seconds=60),
    )
    await keep_up(wired.services, PROVIDER)
    assert wired.asked("DELETE", sandbox) == 0, "its holder may live"
    await wired.change(sandbox.id, action_until=now() - timedelta(seconds=1))
    await keep_up(wired.other, PROVIDER)
    assert (await wired.read(sandbox.id)).status == "TERMINATED"


async def test_one_of_many_that_hangs_keeps_the_others_from_nothing(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "ANSWER_SECONDS", 0.5)
    sandboxes = [await wired.add() for _ in range(10)]
    for sandbox in sandboxes:
        wired.answers("DELETE", sandbox, DONE)
    wired.answers("DELETE", sandboxes[0], never)
    ended = await terminate_sandboxes(wired.services, wired.scope, [one.id for one in sandboxes])
    assert [one.status for one in ended] == ["RUNNING"] + ["TERMINATED"] * 9
    assert "to end" in (ended[0].status_reason or "")
