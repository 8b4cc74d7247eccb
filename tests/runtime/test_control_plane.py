"""The control plane as E2B's older clients and its rarer fields use it, by plain HTTP and by the SDK."""

import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from e2b import E2B, AsyncSandbox, SandboxException, SandboxQuery, SandboxState
from e2b.exceptions import InvalidArgumentException, ServiceBusyException

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture
async def control(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the control plane."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        yield client


def remaining(sandbox: dict[str, Any]) -> float:
    return (datetime.fromisoformat(sandbox["endAt"]) - datetime.now(UTC)).total_seconds()


async def test_version_1_makes_lists_and_resumes(control: httpx.AsyncClient) -> None:
    made = (await control.post("/sandboxes", json={"templateID": "base", "metadata": {"v": "1"}})).json()
    assert made["envdAccessToken"]
    path = f"/sandboxes/{made['sandboxID']}-{made['clientID']}"
    detail = (await control.get(path)).json()
    assert 0 < remaining(detail) <= 15
    assert (await control.post(path + "/refreshes", json={"duration": 100})).status_code == 204
    assert 90 < remaining((await control.get(path)).json()) <= 100
    listed = (await control.get("/sandboxes", params={"metadata": "v=1"})).json()
    assert [each["sandboxID"] for each in listed] == [made["sandboxID"]]
    assert (await control.post(path + "/resume", json={})).status_code == 409
    assert (await control.post(path + "/pause")).status_code == 204
    assert (await control.post(path + "/refreshes", json={})).status_code == 404
    assert (await control.get("/sandboxes", params={"metadata": "v=1"})).json() == []
    resumed = await control.post(path + "/resume", json={"timeout": 50, "autoPause": True})
    assert (resumed.status_code, resumed.json()["sandboxID"]) == (201, made["sandboxID"])
    detail = (await control.get(path)).json()
    assert detail["lifecycle"] == {"onTimeout": "pause", "autoResume": False}
    assert (await control.post(path + "/connect", json={"timeout": 60})).status_code == 200
    assert (await control.delete(path)).status_code == 204
    assert (await control.delete(path)).status_code == 404


async def test_a_list_is_filtered_by_start_template_and_state(e2b: E2B) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    sandbox = await e2b.AsyncSandbox.create(timeout=60, metadata={"list": "filters"})

    async def found(**wanted: Any) -> bool:
        query = SandboxQuery(metadata={"list": "filters"}, **wanted)
        return bool(await e2b.AsyncSandbox.list(query=query).next_items())

    assert await found(started_after=before)
    assert not await found(started_after=before + timedelta(days=1))
    assert await found(template="base")
    assert not await found(template="another")
    assert await found(state=[SandboxState.RUNNING, SandboxState.PAUSED])
    assert not await found(state=[SandboxState.PAUSED])
    await sandbox.kill()


async def test_a_list_may_begin_with_the_oldest(e2b: E2B) -> None:
    made = [await e2b.AsyncSandbox.create(timeout=60, metadata={"list": "order"}) for _ in range(3)]
    pages = e2b.AsyncSandbox.list(query=SandboxQuery(metadata={"list": "order"}), limit=1, order="asc")
    names = []
    while pages.has_next:
        names += [each.sandbox_id for each in await pages.next_items()]
    assert names == [sandbox.sandbox_id for sandbox in made]
    for sandbox in made:
        await sandbox.kill()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "nextToken=%21", "state=gone", "startedAfter=noon", "order=up"]
)
async def test_a_list_that_makes_no_sense_is_refused(control: httpx.AsyncClient, query: str) -> None:
    response = await control.get(f"/v2/sandboxes?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["message"]


async def test_metrics_of_several_come_at_once(e2b: E2B, control: httpx.AsyncClient) -> None:
    names = [(await e2b.AsyncSandbox.create(timeout=60)).sandbox_id for _ in range(2)]
    wanted = {"sandbox_ids": ",".join([*names, "i0000000000000000000"])}
    told = (await control.get("/sandboxes/metrics", params=wanted)).json()["sandboxes"]
    assert sorted(told) == sorted(names)
    assert all(each["memTotal"] == 1 << 30 for each in told.values())
    assert (await control.get("/sandboxes/metrics")).status_code == 400
    for name in names:
        await e2b.AsyncSandbox.kill(name)


async def test_an_idempotency_key_stands_for_one_request(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60, idempotency_key="one-request")
    with pytest.raises(SandboxException, match=r"422: .* stands for another request"):
        await e2b.AsyncSandbox.create(timeout=61, idempotency_key="one-request")
    await sandbox.kill()


@pytest.mark.parametrize("key", ["Upper", "a b", "x" * 256])
async def test_an_idempotency_key_has_a_form(control: httpx.AsyncClient, key: str) -> None:
    response = await control.post(
        "/v2/sandboxes", json={"templateID": "base"}, headers={"Idempotency-Key": key}
    )
    assert response.status_code == 400
    assert "Idempotency-Key" in response.json()["message"]


async def test_the_lifecycle_is_as_asked(e2b: E2B) -> None:
    lifecycles: list[tuple[Any, Any]] = [
        (None, {"on_timeout": "kill", "auto_resume": False}),
        ({"on_timeout": "pause", "auto_resume": True}, {"on_timeout": "pause", "auto_resume": True}),
        (
            {"on_timeout": {"action": "pause", "mode": "filesystem"}},
            {"on_timeout": "pause", "auto_resume": False},
        ),
    ]
    for asked, told in lifecycles:
        sandbox = await e2b.AsyncSandbox.create(timeout=60, lifecycle=asked)
        assert (await sandbox.get_info()).lifecycle == told
        await sandbox.kill()
    with pytest.raises(InvalidArgumentException):
        await e2b.AsyncSandbox.create(lifecycle={"on_timeout": "kill", "auto_resume": True})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"autoPauseMemory": False, "autoPause": True, "autoResume": {"enabled": True}}, "autoResume: "),
        ({"mcp": {"server": {}}}, "mcp: this runtime doesn't offer it"),
        ({"iam": {"tokens": {"aws": {}}}}, "iam: this runtime doesn't offer it"),
        ({"timeout": -1}, "timeout: "),
        ({"metadata": {"a": 1}}, "metadata.a: "),
        ({"envVars": {"A=B": "c"}}, "envVars"),
        ({"templateID": ""}, "templateID: "),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    control: httpx.AsyncClient, fields: dict[str, Any], message: str
) -> None:
    response = await control.post("/v2/sandboxes", json={"templateID": "base", **fields})
    assert response.status_code == 400
    assert message in response.json()["message"]


async def test_a_strict_pause_is_had_of_a_sandbox_that_answers(sandbox: AsyncSandbox) -> None:
    assert await sandbox.pause(strict=True) is True
    assert (await sandbox.get_info()).state == SandboxState.PAUSED


async def test_a_strict_pause_leaves_alone_what_does_not_answer(
    sandbox: AsyncSandbox, runtime: RuntimeProcess
) -> None:
    supervisor = runtime.supervisor_of(sandbox.sandbox_id)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        with pytest.raises(ServiceBusyException, match="was not paused and keeps running"):
            await sandbox.pause(strict=True)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert (await sandbox.get_info()).state == SandboxState.RUNNING


async def test_a_sandbox_may_come_back_without_its_processes(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("echo kept > kept; sleep 60 &")
    await sandbox.pause()
    await sandbox.connect(on_resume="reboot", timeout=60)
    assert (await sandbox.commands.run("cat kept; pgrep sleep || echo none")).stdout == "kept\nnone\n"


async def test_traffic_does_not_wake_what_was_paused_without_memory(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(
        timeout=60, lifecycle={"on_timeout": "pause", "auto_resume": True}
    )
    await sandbox.pause(mode="filesystem")
    assert await sandbox.is_running() is False
    assert (await sandbox.get_info()).state == SandboxState.PAUSED
    await sandbox.connect(timeout=60)
    assert await sandbox.is_running()
    await sandbox.kill()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("PATCH", "/sandboxes", 405)]
)
async def test_paths_and_methods_that_are_not_there_are_said_so(
    control: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await control.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, status)
