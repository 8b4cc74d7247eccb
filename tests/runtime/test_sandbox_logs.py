"""A sandbox's log: what was done with it and its processes, in both versions of E2B's API."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from e2b import E2B, AsyncSandbox

from runtime.host.journal import FILE_LIMIT
from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture
async def control(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the control plane: the SDK has no method for logs."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        yield client


async def entries(control: httpx.AsyncClient, sandbox_id: str, **query: Any) -> list[dict[str, Any]]:
    response = await control.get(f"/v2/sandboxes/{sandbox_id}/logs", params=query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["logs"]
    return found


async def test_a_log_tells_what_happened_in_order(e2b: E2B, control: httpx.AsyncClient) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    await sandbox.commands.run("exit 3 # told", background=True)
    handle = await sandbox.commands.run("sleep 60", background=True)
    await handle.kill()
    with pytest.raises(Exception, match="code -1"):
        await handle.wait()
    await sandbox.pause()
    await sandbox.connect(timeout=60)
    await sandbox.kill()
    told = await entries(control, sandbox.sandbox_id)
    messages = [entry["message"] for entry in told if not entry["message"].startswith("process")]
    assert messages == ["sandbox created", "sandbox paused", "sandbox resumed", "sandbox ended"]
    assert told[-1]["fields"] == {"reason": "KILLED"}
    started = [entry for entry in told if entry["message"] == "process started"]
    assert "exit 3 # told" in started[0]["fields"]["command"]
    ended = {entry["fields"]["pid"]: entry for entry in told if entry["message"] == "process ended"}
    first = ended[started[0]["fields"]["pid"]]
    assert (first["level"], first["fields"]["reason"]) == ("warn", "exit status 3")
    assert ended[str(handle.pid)]["fields"]["reason"] == "signal: killed"


async def test_a_log_is_read_by_time_direction_level_and_text(
    sandbox: AsyncSandbox, control: httpx.AsyncClient
) -> None:
    for number in range(3):
        await sandbox.commands.run(f"echo {number}")
    await sandbox.set_timeout(100)
    name = sandbox.sandbox_id
    everything = await entries(control, name)
    assert [each["message"] for each in everything[:1]] == ["sandbox created"]
    assert await entries(control, name, direction="backward") == everything[::-1]
    assert await entries(control, name, limit=2) == everything[:2]
    assert len(await entries(control, name, search="process ended")) == 3
    assert {each["level"] for each in await entries(control, name, level="info")} == {"info"}
    assert {each["level"] for each in everything} == {"debug", "info"}
    assert await entries(control, name, cursor=1) == everything
    assert await entries(control, name, cursor=1, direction="backward") == []


async def test_version_1_gives_lines_beside_entries(
    sandbox: AsyncSandbox, control: httpx.AsyncClient
) -> None:
    await sandbox.commands.run("echo hi")
    told = (await control.get(f"/sandboxes/{sandbox.sandbox_id}/logs")).json()
    assert len(told["logs"]) == len(told["logEntries"]) == 3
    assert told["logs"][0]["line"] == "sandbox created template=base"
    late = await control.get(f"/sandboxes/{sandbox.sandbox_id}/logs", params={"start": 10**13})
    assert late.json() == {"logs": [], "logEntries": []}


@pytest.mark.parametrize("query", ["limit=1001", "cursor=yesterday", "direction=up", "level=loud"])
async def test_a_question_that_makes_no_sense_is_refused(
    sandbox: AsyncSandbox, control: httpx.AsyncClient, query: str
) -> None:
    response = await control.get(f"/v2/sandboxes/{sandbox.sandbox_id}/logs?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["message"]


async def test_a_log_is_bounded_and_keeps_the_newest(
    sandbox: AsyncSandbox, runtime: RuntimeProcess, control: httpx.AsyncClient
) -> None:
    for number in range(150):
        await sandbox.commands.run(f"true {number} {'x' * 2000}")
    files = list((runtime.state / "journals").glob(f"{sandbox.sandbox_id}.log*"))
    assert len(files) == 2
    assert all(file.stat().st_size < 1.1 * FILE_LIMIT for file in files)
    newest = [each for each in await entries(control, sandbox.sandbox_id) if "command" in each["fields"]][-1]
    assert "true 149 " in newest["fields"]["command"]


async def test_a_restarted_runtime_still_says_why_a_sandbox_ended() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
        await sandbox.kill()
        await runtime.kill()
        await runtime.start()
        headers = {"X-API-Key": runtime.api_key}
        async with httpx.AsyncClient(base_url=runtime.url, headers=headers) as control:
            told = (await control.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")).json()
            assert (told["state"], told["endReason"], told["templateID"]) == ("ended", "KILLED", "base")
            assert (await entries(control, sandbox.sandbox_id))[-1]["message"] == "sandbox ended"
        await runtime.stop()


async def test_what_has_ended_long_ago_is_forgotten() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, ended_kept="0")
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
        await sandbox.kill()
        headers = {"X-API-Key": runtime.api_key}
        async with httpx.AsyncClient(base_url=runtime.url, headers=headers) as control:
            assert (await control.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")).status_code == 404
            assert (await control.get(f"/v2/sandboxes/{sandbox.sandbox_id}/logs")).status_code == 404
        assert list((state / "journals").iterdir()) == list((state / "endings").iterdir()) == []
        await runtime.stop()
