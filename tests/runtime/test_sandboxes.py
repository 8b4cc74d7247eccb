"""The life of a sandbox, through E2B's Python SDK: made, found, listed, paused, resumed, ended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from e2b import (
    E2B,
    AsyncSandbox,
    CommandExitException,
    NotFoundException,
    RateLimitException,
    SandboxException,
    SandboxQuery,
    SandboxState,
)
from e2b.exceptions import AuthenticationException, SandboxNotFoundException, SandboxNotRunningException

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture
async def control(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the control plane."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        yield client


async def test_a_new_sandbox_knows_what_it_was_made_with(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=77, metadata={"team": "a b"}, envs={"X": "1"})
    info = await sandbox.get_info()
    assert (info.sandbox_id, info.template_id, info.metadata) == (sandbox.sandbox_id, "base", {"team": "a b"})
    assert (info.state, info.cpu_count, info.memory_mb) == (SandboxState.RUNNING, 2, 1024)
    assert (info.end_at - info.started_at).total_seconds() == 77
    assert await sandbox.is_running()
    await sandbox.kill()


async def test_a_killed_sandbox_is_gone_everywhere(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    assert await sandbox.kill() is True
    assert await sandbox.kill() is False
    assert await sandbox.is_running() is False
    with pytest.raises(SandboxNotFoundException):
        await sandbox.get_info()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")


async def test_a_command_in_a_sandbox_that_is_killed_ends_as_not_running(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    handle = await sandbox.commands.run("sleep 60", background=True)
    await sandbox.kill()
    with pytest.raises(SandboxNotRunningException):
        await handle.wait()


async def test_an_unknown_template_names_those_that_are(e2b: E2B) -> None:
    with pytest.raises(Exception, match="template 'nope' not found; there are: base"):
        await e2b.AsyncSandbox.create("nope")


async def test_another_key_is_refused(runtime: RuntimeProcess) -> None:
    stranger = E2B(api_key="another", api_url=runtime.url, sandbox_url=runtime.url)
    with pytest.raises(AuthenticationException):
        await stranger.AsyncSandbox.create()


async def test_health_needs_no_key(runtime: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/v2/sandboxes")).status_code == 401


async def test_an_access_token_is_asked_for(sandbox: AsyncSandbox, runtime: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
        assert (await client.get("/health", headers=headers)).status_code == 204
        assert (await client.get("/envs", headers=headers)).status_code == 401
        token = {"X-Access-Token": sandbox._envd_access_token or ""}
        assert (await client.get("/envs", headers=headers | token)).json()["USER"] == "user"


async def test_the_same_idempotency_key_gives_the_same_sandbox(e2b: E2B) -> None:
    made = await asyncio.gather(
        *(e2b.AsyncSandbox.create(timeout=60, idempotency_key="k-1") for _ in range(5))
    )
    assert len({sandbox.sandbox_id for sandbox in made}) == 1
    await made[0].kill()
    again = await e2b.AsyncSandbox.create(timeout=60, idempotency_key="k-1")
    assert again.sandbox_id != made[0].sandbox_id
    await again.kill()


async def test_a_retry_gives_the_same_sandbox_though_its_template_was_built_anew(e2b: E2B) -> None:
    made = []
    for word in ("one", "two"):
        template = e2b.AsyncTemplate().from_base_image().set_envs({"WORD": word}).set_workdir(f"/srv/{word}")
        await e2b.AsyncTemplate.build(template, "built-anew")
        made.append(await e2b.AsyncSandbox.create("built-anew", timeout=60, idempotency_key="k-anew"))
    assert made[0].sandbox_id == made[1].sandbox_id
    await made[0].kill()


async def test_lists_are_filtered_ordered_and_paged(e2b: E2B) -> None:
    made = [
        await e2b.AsyncSandbox.create(timeout=60, metadata={"set": "p&q=1", "n": str(n)}) for n in range(3)
    ]
    await made[0].pause()
    query = SandboxQuery(metadata={"set": "p&q=1"})
    pages = e2b.AsyncSandbox.list(query=query, limit=2)
    first = await pages.next_items()
    assert [each.metadata["n"] for each in first] == ["2", "1"]
    assert pages.has_next
    assert [each.metadata["n"] for each in await pages.next_items()] == ["0"]
    assert not pages.has_next
    paused = SandboxQuery(metadata={"set": "p&q=1"}, state=[SandboxState.PAUSED])
    assert [each.sandbox_id for each in await e2b.AsyncSandbox.list(query=paused).next_items()] == [
        made[0].sandbox_id
    ]
    await asyncio.gather(*(sandbox.kill() for sandbox in made))


async def test_a_sandbox_ends_in_time(e2b: E2B, control: httpx.AsyncClient) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=1)
    async with asyncio.timeout(5):
        while await sandbox.is_running():
            await asyncio.sleep(0.05)
    told = await control.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")
    assert told.json()["endReason"] == "EXPIRED"


async def test_a_new_timeout_counts_from_now(sandbox: AsyncSandbox) -> None:
    await sandbox.set_timeout(1000)
    info = await sandbox.get_info()
    assert abs(info.end_at - datetime.now(UTC) - timedelta(seconds=1000)) < timedelta(seconds=5)


async def test_a_life_beyond_the_bound_is_refused(sandbox: AsyncSandbox) -> None:
    with pytest.raises(SandboxException, match="Timeout cannot be greater than 24 hours"):
        await sandbox.set_timeout(24 * 3600 + 1)


async def test_connecting_only_lengthens_a_life(sandbox: AsyncSandbox, e2b: E2B) -> None:
    before = (await sandbox.get_info()).end_at
    await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=10)
    assert (await sandbox.get_info()).end_at == before
    await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=600)
    assert (await sandbox.get_info()).end_at > before


async def test_a_paused_sandbox_stands_still_and_goes_on(sandbox: AsyncSandbox, e2b: E2B) -> None:
    handle = await sandbox.commands.run(
        "while :; do date +%s%N > /tmp/tick; sleep 0.01; done", background=True
    )
    assert await sandbox.pause() is True
    assert await sandbox.pause() is False
    assert await sandbox.is_running() is False
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    assert (await sandbox.get_info()).state == SandboxState.PAUSED
    await asyncio.sleep(0.3)  # long enough to see that no tick comes
    resumed = await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    assert [process.pid for process in await resumed.commands.list()] == [handle.pid]
    age = await resumed.commands.run(
        "old=$(cat /tmp/tick); until [ $(cat /tmp/tick) != $old ]; do :; done; echo on"
    )
    assert age.stdout == "on\n"


async def test_a_deadline_stands_still_while_paused(sandbox: AsyncSandbox, e2b: E2B) -> None:
    handle = await sandbox.commands.run("read line; exit 3", background=True, stdin=True, timeout=1.5)
    await sandbox.pause()
    await asyncio.sleep(1.6)  # beyond the deadline, as the wall clock has it
    resumed = await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    again = await resumed.commands.connect(handle.pid)
    await resumed.commands.send_stdin(handle.pid, "on\n")
    with pytest.raises(CommandExitException) as raised:
        await again.wait()
    assert raised.value.exit_code == 3


async def test_a_pause_with_files_only_keeps_files(sandbox: AsyncSandbox, e2b: E2B) -> None:
    await sandbox.commands.run("echo kept > kept.txt; sleep 60 &")
    await sandbox.pause(mode="filesystem")
    resumed = await e2b.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    assert (await resumed.commands.run("cat kept.txt; pgrep sleep || echo none")).stdout == "kept\nnone\n"


async def test_a_sandbox_may_pause_when_its_time_is_over_and_wake_when_called(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=1, lifecycle={"on_timeout": "pause", "auto_resume": True})
    await sandbox.commands.run("echo kept > /tmp/kept")
    async with asyncio.timeout(5):
        while (await sandbox.get_info()).state != SandboxState.PAUSED:
            await asyncio.sleep(0.05)
    assert (await sandbox.commands.run("cat /tmp/kept")).stdout == "kept\n"
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()


async def test_metrics_are_this_sandboxs_own(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run(
        "head -c 50M /dev/urandom > data; timeout 0.5 sh -c 'while :; do :; done'; true"
    )
    async with asyncio.timeout(15):  # one sample may have been taken while it was written
        while (sample := (await sandbox.get_metrics())[-1]).disk_used < 50_000_000:
            await asyncio.sleep(0.2)
    assert 50_000_000 < sample.disk_used < 80_000_000
    assert sample.mem_total == 1 << 30
    assert 0 < sample.mem_used < 400_000_000
    assert 0 < sample.cpu_used_pct <= 220
    assert sample.cpu_count == 2


async def test_a_server_inside_is_reached_by_its_port(sandbox: AsyncSandbox, runtime: RuntimeProcess) -> None:
    await sandbox.commands.run(
        "python3 -m http.server 8000 --bind 127.0.0.1", background=True, timeout=0, cwd="/etc"
    )
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "8000"}
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        async with asyncio.timeout(10):
            while (answer := await client.get("/hostname", headers=headers)).status_code == 502:
                await asyncio.sleep(0.05)
        assert answer.text == "sandbox\n"
        by_host = await client.get("/hostname", headers={"Host": f"8000-{sandbox.sandbox_id}.localhost"})
        assert by_host.text == "sandbox\n"
        closed = await client.get("/", headers=headers | {"E2b-Sandbox-Port": "8001"})
        assert (closed.status_code, closed.json()["message"]) == (
            502,
            "The sandbox is running but port is not open",
        )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"timeout": 5}',
        b'{"templateID": "base", "timeout": -1}',
        b'{"templateID": "base", "envVars": {"A=": "1"}}',
    ],
)
async def test_a_body_that_is_wrong_is_told_by_field(control: httpx.AsyncClient, body: bytes) -> None:
    before = len((await control.get("/v2/sandboxes")).json())
    answer = await control.post("/v2/sandboxes", content=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("The request can't be understood: ")
    assert len((await control.get("/v2/sandboxes")).json()) == before


async def test_no_more_sandboxes_than_the_settings_allow() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, sandbox_limit="1")
        await runtime.start()
        client = runtime.client
        await client.AsyncSandbox.create(timeout=60)
        with pytest.raises(RateLimitException, match="maximum number of concurrent sandboxes"):
            await client.AsyncSandbox.create(timeout=60, retries=0)
        await runtime.stop()


def test_the_synchronous_client_works_too(e2b: E2B) -> None:
    sandbox = e2b.Sandbox.create(timeout=60)
    assert sandbox.commands.run("echo hi").stdout == "hi\n"
    with pytest.raises(CommandExitException):
        sandbox.commands.run("false")
    with pytest.raises(NotFoundException):
        sandbox.commands.connect(424242)
    assert sandbox.kill()
