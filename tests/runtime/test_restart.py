"""The runtime stops, is killed, and starts again: what becomes of its sandboxes."""

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2b import (
    AsyncCommandHandle,
    AsyncSandbox,
    CommandExitException,
    CommandResult,
    SandboxState,
)
from e2b.exceptions import ServiceBusyException

from tests.fixtures.runtime import REPOSITORY, UNPRIVILEGED_USER, RuntimeProcess, runtime_folder

LINES = 1_500_000
by_either_user = pytest.mark.parametrize("own_runtime", [None, UNPRIVILEGED_USER], indirect=True)


@pytest.fixture
async def own_runtime(request: pytest.FixtureRequest) -> AsyncIterator[RuntimeProcess]:
    """A runtime for one test, started by the tests' user or by the one that is asked for."""
    user_id = getattr(request, "param", None) if os.geteuid() == 0 else None
    with runtime_folder(user_id) as state:
        runtime = RuntimeProcess(state, user_id)
        await runtime.start()
        yield runtime
        await runtime.stop()


@by_either_user
async def test_a_stopped_runtime_leaves_nothing_running(own_runtime: RuntimeProcess) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300)
    await sandbox.commands.run("sleep 65437 & sleep 65437 & setsid sleep 65437 & true")
    paused = await own_runtime.client.AsyncSandbox.create(timeout=300)
    await paused.commands.run("sleep 65437", background=True)
    await paused.pause()
    groups = _cgroups(sandbox.sandbox_id) + _cgroups(paused.sandbox_id)
    assert len(groups) in (0, 8)
    await own_runtime.stop()
    assert _processes_with("65437") == []
    assert _processes_with(str(own_runtime.state)) == []
    assert [group for group in groups if group.exists()] == []
    assert str(own_runtime.state) not in Path("/proc/self/mounts").read_text()
    await own_runtime.start()


async def test_an_orderly_stop_keeps_files_and_time(own_runtime: RuntimeProcess) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300, metadata={"a": "b"})
    await sandbox.commands.run("echo kept > kept.txt")
    end_at = (await sandbox.get_info()).end_at
    await own_runtime.stop()
    await own_runtime.start()
    client = own_runtime.client
    (listed,) = await client.AsyncSandbox.list().next_items()
    assert (listed.sandbox_id, listed.state, listed.end_at) == (
        sandbox.sandbox_id,
        SandboxState.PAUSED,
        end_at,
    )
    resumed = await client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    assert (await resumed.commands.run("cat kept.txt")).stdout == "kept\n"
    assert (await resumed.get_info()).metadata == {"a": "b"}


async def test_time_runs_out_while_the_runtime_is_away(own_runtime: RuntimeProcess) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=1)
    await own_runtime.stop()
    await asyncio.sleep(1.2)  # the time that the sandbox had
    await own_runtime.start()
    async with asyncio.timeout(5):
        while (own_runtime.state / "sandboxes" / sandbox.sandbox_id).exists():
            await asyncio.sleep(0.05)
    assert await own_runtime.client.AsyncSandbox.list().next_items() == []


@by_either_user
async def test_a_killed_runtime_finds_its_sandboxes_alive_and_loses_no_output(
    own_runtime: RuntimeProcess,
) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300)
    # It writes far more than all buffers hold, so it has to wait for the next runtime.
    handle = await sandbox.commands.run(
        f"seq 1 {LINES} | tee >(sha256sum > /tmp/sum); sleep 0.2; exit 5", background=True, timeout=0
    )
    reader = await sandbox.commands.run("cat", background=True, stdin=True, timeout=0)
    await handle.disconnect()
    await own_runtime.kill()
    await own_runtime.start()
    again = await own_runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=300)
    assert {process.pid for process in await again.commands.list()} == {handle.pid, reader.pid}
    await again.commands.send_stdin(reader.pid, "still there")
    await again.commands.close_stdin(reader.pid)
    taken = await again.commands.connect(handle.pid, timeout=0)
    result = await _result(taken)
    assert result.exit_code == 5
    tail = result.stdout.splitlines()
    assert tail[-1] == str(LINES)
    numbers = [int(line) for line in tail[1:]]
    assert numbers == list(range(numbers[0], LINES + 1))
    whole = "".join(f"{number}\n" for number in range(1, LINES + 1)).encode()
    summed = await again.commands.run("cat /tmp/sum")
    assert summed.stdout.split()[0] == hashlib.sha256(whole).hexdigest()


async def test_a_killed_runtime_finds_a_paused_sandbox_paused(own_runtime: RuntimeProcess) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300)
    handle = await sandbox.commands.run("sleep 100", background=True, timeout=0)
    await sandbox.pause()
    await own_runtime.kill()
    await own_runtime.start()
    client = own_runtime.client
    assert (await client.AsyncSandbox.get_info(sandbox.sandbox_id)).state == SandboxState.PAUSED
    resumed = await client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    assert [process.pid for process in await resumed.commands.list()] == [handle.pid]


async def test_a_sandbox_that_was_being_paused_when_its_runtime_was_killed_stands_still(
    own_runtime: RuntimeProcess,
) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300)
    await sandbox.commands.run("while :; do echo >> count; done", background=True, timeout=0)
    # One that its user has stopped, and that nobody else may continue.
    held = await sandbox.commands.run("kill -STOP $$; echo", background=True, timeout=0)
    shown = f"cut -d' ' -f3 /proc/{held.pid}/stat; wc -l < count"
    async with asyncio.timeout(10):
        while not (await sandbox.commands.run(shown)).stdout.startswith("T\n"):
            pass
    await sandbox.pause()
    await sandbox.connect()
    await own_runtime.kill()
    record = own_runtime.state / "sandboxes" / sandbox.sandbox_id / "meta.json"
    written = json.loads(record.read_text())
    written |= {"state": "paused", "paused_at": written["started_at"], "frozen": True}
    record.write_text(json.dumps(written))
    await own_runtime.start()
    assert b'"frozen":false' in record.read_bytes()
    states = [_state_of(pid) for pid in _children_of(own_runtime.supervisor_of(sandbox.sandbox_id))]
    assert len(states) >= 2
    assert set(states) == {"T"}
    again = await own_runtime.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=60)
    state, lines = (await again.commands.run(shown)).stdout.split()
    assert state == "T"
    async with asyncio.timeout(10):
        while (await again.commands.run(shown)).stdout.split()[1] == lines:
            pass


async def test_a_sandbox_that_is_being_made_at_a_stop_is_not_made(own_runtime: RuntimeProcess) -> None:
    client = own_runtime.client
    making = asyncio.gather(
        *(client.AsyncSandbox.create(timeout=300) for _ in range(6)), return_exceptions=True
    )
    async with asyncio.timeout(10):
        while not list((own_runtime.state / "sandboxes").iterdir()):
            await asyncio.sleep(0)
    await own_runtime.stop()
    made = await making
    refused = [each for each in made if isinstance(each, ServiceBusyException)]
    assert refused
    kept = {each.sandbox_id for each in made if isinstance(each, AsyncSandbox)}
    assert {folder.name for folder in (own_runtime.state / "sandboxes").iterdir()} == kept
    assert _processes_with(str(own_runtime.state)) == []
    await own_runtime.start()


async def test_a_sandbox_whose_supervisor_died_is_told_as_crashed(own_runtime: RuntimeProcess) -> None:
    sandbox = await own_runtime.client.AsyncSandbox.create(timeout=300)
    os.kill(own_runtime.supervisor_of(sandbox.sandbox_id), signal.SIGKILL)
    async with asyncio.timeout(5):
        while await sandbox.is_running():
            await asyncio.sleep(0.02)
    assert await own_runtime.client.AsyncSandbox.list().next_items() == []


async def test_what_cannot_be_read_is_kept_and_what_another_version_wrote_is_understood(
    own_runtime: RuntimeProcess,
) -> None:
    client = own_runtime.client
    older, broken = [await client.AsyncSandbox.create(timeout=300) for _ in range(2)]
    await broken.files.write("kept.txt", "kept")
    await own_runtime.kill()
    older_record, broken_record = [
        own_runtime.state / "sandboxes" / each.sandbox_id / "meta.json" for each in (older, broken)
    ]
    written = json.loads(older_record.read_text())
    del written["volumes"], written["start"]
    older_record.write_text(json.dumps(written | {"of_a_later_version": 1}))
    whole = broken_record.read_bytes()
    broken_record.write_bytes(b"")
    await own_runtime.start()
    listed = await own_runtime.client.AsyncSandbox.list().next_items()
    assert [each.sandbox_id for each in listed] == [older.sandbox_id]
    assert "unreadable_sandbox_kept" in own_runtime.log.read_text()
    await own_runtime.kill()
    broken_record.write_bytes(whole)
    await own_runtime.start()
    again = await own_runtime.client.AsyncSandbox.connect(broken.sandbox_id, timeout=60)
    assert await again.files.read("kept.txt") == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives ids to sandboxes, which can run out")
async def test_a_start_that_fails_leaves_the_sandboxes_to_the_next() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, user_id_count="1")
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=300)
        handle = await sandbox.commands.run("sleep 100", background=True, timeout=0)
        await runtime.kill()
        runtime.launch()  # its self-test needs ids too
        assert await runtime.wait() == 1
        assert "No host ids are left" in runtime.log.read_text()
        next_one = RuntimeProcess(state)
        await next_one.start()
        again = await next_one.client.AsyncSandbox.connect(sandbox.sandbox_id, timeout=300)
        assert [process.pid for process in await again.commands.list()] == [handle.pid]
        await next_one.stop()


async def test_a_sandbox_that_is_being_made_does_not_outlive_a_stop(own_runtime: RuntimeProcess) -> None:
    client = own_runtime.client
    waits = (
        client.AsyncTemplate()
        .from_base_image()
        .set_start_cmd("touch /tmp/up; sleep 65439", 'test -f /tmp/up && test -z "$SLOW"')
    )
    await client.AsyncTemplate.build(waits, "waits-for-long")
    making = asyncio.ensure_future(
        client.AsyncSandbox.create("waits-for-long", timeout=300, envs={"SLOW": "1"})
    )
    async with asyncio.timeout(10):
        while not _processes_with("65439"):
            await asyncio.sleep(0.02)
    await own_runtime.stop()
    with pytest.raises(ServiceBusyException, match="The runtime is stopping"):
        await making
    assert _processes_with("65439") == []
    assert list((own_runtime.state / "sandboxes").iterdir()) == []
    await own_runtime.start()


async def test_two_runtimes_on_one_state_are_refused(own_runtime: RuntimeProcess) -> None:
    second = RuntimeProcess(own_runtime.state)
    second.log = own_runtime.state.parent / "second.log"
    second.launch()
    assert await second.wait() == 1
    assert "Another runtime serves from" in second.log.read_text()


async def test_a_port_that_is_taken_is_told_in_one_line(own_runtime: RuntimeProcess) -> None:
    with runtime_folder() as state:
        second = RuntimeProcess(state, port=own_runtime.url.rpartition(":")[2])
        second.launch()
        assert await second.wait() == 1
        assert "Set RUNTIME_PORT to a free port." in second.log.read_text().strip().splitlines()[-1]


async def _result(handle: AsyncCommandHandle) -> CommandResult | CommandExitException:
    try:
        return await handle.wait()
    except CommandExitException as ended:
        return ended


def _children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _processes_with(words: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if words in command and str(REPOSITORY) not in command:
                found.append(int(folder.name))
    return found


def _cgroups(sandbox_id: str) -> list[Path]:
    # Unlike `rglob`, this passes over groups of other runtimes that vanish meanwhile.
    folders = (folder for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return [Path(folder) for folder in folders if folder.endswith(f"/commandcenter-{sandbox_id}")]


async def test_a_killed_launcher_ends_no_sandbox_and_is_replaced(runtime: RuntimeProcess) -> None:
    sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
    os.kill(_launcher_of(runtime), signal.SIGKILL)
    another = await runtime.client.AsyncSandbox.create(timeout=60)
    for each in (sandbox, another):
        assert (await each.commands.run("echo alive")).stdout == "alive\n"
        assert await each.kill()


def _launcher_of(runtime: RuntimeProcess) -> int:
    children = Path(f"/proc/{runtime.pid}/task/{runtime.pid}/children").read_text().split()
    return next(
        int(pid) for pid in children if b"runtime.launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
