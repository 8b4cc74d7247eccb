"""How a command ended is told exactly, and only what was seen."""

import asyncio
import time
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.product import Project


@pytest.mark.parametrize("code", [0, 1, 2, 42, 126, 127, 128, 137, 255])
async def test_exit_codes_are_exact(client: Client, sandbox_id: str, code: int) -> None:
    ran = await client.run(sandbox_id, f"exit {code}")
    assert (ran["exitCode"], ran["signal"]) == (code, None)
    assert ran["status"] == ("SUCCEEDED" if code == 0 else "FAILED")


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "ABRT", "USR1", "PIPE", "HUP"])
async def test_a_signal_is_told_by_its_name_and_has_no_exit_code(
    client: Client, sandbox_id: str, name: str
) -> None:
    ran = await client.run(sandbox_id, f"ulimit -c 0; kill -{name} $$; sleep 5")
    assert (ran["status"], ran["exitCode"], ran["signal"]) == ("FAILED", None, f"SIG{name}")


async def test_both_streams_are_kept_apart_and_whole(client: Client, sandbox_id: str) -> None:
    ran = await client.run(sandbox_id, "printf out; printf err >&2; printf put; printf or >&2; exit 3")
    assert (ran["exitCode"], ran["stdout"], ran["stderr"]) == (3, "output", "error")
    assert (ran["stdoutBytes"], ran["stderrBytes"]) == (6, 5)


async def test_output_without_an_end_of_line_or_a_whole_character_is_kept(
    client: Client, sandbox_id: str
) -> None:
    ran = await client.run(sandbox_id, r"printf 'caf\xc3'")
    assert (ran["stdoutBytes"], ran["stdout"]) == (4, "caf�")


async def test_a_command_starts_where_and_with_what_it_is_told(client: Client, sandbox_id: str) -> None:
    ran = await client.run(
        sandbox_id,
        'pwd; echo "$ONE/$TWO"; id -un',
        cwd="/tmp",
        envs=[{"name": "ONE", "value": "1 ' \""}, {"name": "TWO", "value": "ü\n2"}],
    )
    assert ran["stdout"] == "/tmp\n1 ' \"/ü\n2\nuser\n"
    assert (await client.run(sandbox_id, "pwd"))["stdout"] == "/home/user\n"


async def test_a_timeout_ends_the_process_and_what_it_started(client: Client, sandbox_id: str) -> None:
    started = time.monotonic()
    ran = await client.run(sandbox_id, "sleep 4321 & echo before; sleep 4321", timeoutSeconds=1)
    assert (ran["status"], ran["exitCode"], ran["stdout"]) == ("TIMED_OUT", None, "before\n")
    assert time.monotonic() - started < 10
    assert await processes_named(client, sandbox_id, "4321") == ""


async def test_cancel_ends_all_that_the_command_started(client: Client, sandbox_id: str) -> None:
    command = "(sleep 4322 & setsid sleep 4322 & wait) & echo started; trap '' TERM; sleep 4322; sleep 4322"
    execution = await client.start(sandbox_id, command)
    await first_output(client, execution)
    assert (await processes_named(client, sandbox_id, "4322")).count("4322") >= 2
    answer = await client.mutate("cancelExecution", "id", executionId=execution)
    assert answer == {"id": execution}
    ended = await client.ended(execution)
    assert (ended["status"], ended["exitCode"]) == ("CANCELLED", None)
    assert await processes_named(client, sandbox_id, "4322") == ""


async def test_a_cancelled_command_that_ends_well_succeeded(client: Client, sandbox_id: str) -> None:
    command = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    execution = await client.start(sandbox_id, command)
    await first_output(client, execution)
    await client.mutate("cancelExecution", "id", executionId=execution)
    ended = await client.ended(execution)
    assert (ended["status"], ended["exitCode"], ended["stdout"]) == ("SUCCEEDED", 0, "ready\nbye\n")


async def test_to_cancel_what_has_ended_changes_nothing(
    client: Client, project: Project, sandbox_id: str
) -> None:
    ran = await client.run(sandbox_id, "exit 4")
    async with project.unchanged():
        again = await client.mutate("cancelExecution", "status exitCode", executionId=ran["id"])
    assert again == {"status": "FAILED", "exitCode": 4}


async def test_a_background_child_that_holds_the_pipe_does_not_delay_the_end(
    client: Client, sandbox_id: str
) -> None:
    started = time.monotonic()
    ran = await client.run(sandbox_id, "sleep 30 & echo done; exit 5")
    assert (ran["exitCode"], ran["stdout"]) == (5, "done\n")
    assert time.monotonic() - started < 5


async def test_200_commands_at_once_are_each_exact(client: Client, project: Project, sandbox_id: str) -> None:
    clients = project.client(), project.client(web=1)

    async def run(number: int) -> dict[str, Any]:
        command = f"echo out {number}; echo err {number} >&2; exit {number % 7}"
        return await clients[number % 2].run(sandbox_id, command)

    results = await asyncio.gather(*(run(number) for number in range(200)))
    for number, ran in enumerate(results):
        assert (ran["exitCode"], ran["stdout"], ran["stderr"]) == (
            number % 7,
            f"out {number}\n",
            f"err {number}\n",
        )
    assert len({ran["id"] for ran in results}) == len({ran["number"] for ran in results}) == 200


async def test_a_sandbox_killed_under_a_command_makes_it_lost_not_failed(
    client: Client, project: Project
) -> None:
    made = await client.create_sandbox()
    execution = await client.start(made["id"], "echo before; sleep 100")
    await first_output(client, execution)
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])
    gaps = []
    async with client.execution_logs(
        execution, selection="chunks { text } gap { fromOffset toOffset reason } ended"
    ) as batches:
        async for batch in batches:
            gaps += [batch["gap"]] if batch["gap"] else []
    ended = await client.show_execution(execution)
    assert (ended["status"], ended["exitCode"], ended["signal"]) == ("LOST", None, None)
    assert ended["statusReason"] == "The sandbox ended before the command did."
    assert ended["stdout"] == "before\n"
    assert sorted((gap["fromOffset"], gap["toOffset"]) for gap in gaps) == [(0, None), (7, None)]
    assert all(gap["reason"] for gap in gaps)


async def first_output(client: Client, execution: str) -> str:
    """What a command says first."""
    async with client.execution_logs(execution) as batches:
        async for batch in batches:
            if batch["chunks"]:
                return str(batch["chunks"][0]["text"])
    raise AssertionError("it said nothing")


async def processes_named(client: Client, sandbox_id: str, word: str) -> str:
    """The commands of the sandbox's processes that hold a word, without the one that looks."""
    listing = (
        "for each in /proc/[0-9]*; do tr '\\0' ' ' < $each/cmdline 2>/dev/null; echo; done "
        f"| grep 'sleep [{word[0]}]{word[1:]}' || true"
    )
    return str((await client.run(sandbox_id, listing))["stdout"])
