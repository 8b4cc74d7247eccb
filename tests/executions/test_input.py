"""Input to commands and terminals, and idempotency of what starts them."""

import asyncio
import base64
import hashlib
import random

from commandcenter.identifiers import new_id
from tests.fixtures.client import EXECUTION, Client
from tests.fixtures.product import Project


async def test_stdin_takes_text_and_bytes_until_it_is_closed(client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, "cat", stdin=True)
    await client.mutate("sendInput", "id", executionId=execution, text="é\n")
    await client.mutate("sendInput", "id", executionId=execution, base64=encoded(b"\0\xff\n"))
    await client.mutate("sendInput", "id", executionId=execution, text="last", close=True)
    ended = await client.ended(execution)
    assert (ended["status"], ended["stdoutBytes"]) == ("SUCCEEDED", 10)
    assert ended["stdout"] == "é\n\0�\nlast"


async def test_a_megabyte_of_bytes_arrives_as_it_was_sent(client: Client, sandbox_id: str) -> None:
    data = random.Random(7).randbytes(700_000)
    execution = await client.start(sandbox_id, "sha256sum", stdin=True)
    for half in (data[:350_000], data[350_000:]):
        await client.mutate("sendInput", "id", executionId=execution, base64=encoded(half))
    await client.mutate("sendInput", "id", executionId=execution, close=True)
    ended = await client.ended(execution)
    assert ended["stdout"].split()[0] == hashlib.sha256(data).hexdigest()


async def test_without_stdin_a_command_reads_nothing(client: Client, sandbox_id: str) -> None:
    ran = await client.run(sandbox_id, "cat; echo after", timeoutSeconds=10)
    assert (ran["status"], ran["stdout"]) == ("SUCCEEDED", "after\n")


async def test_a_terminal_is_one_and_knows_its_new_size(client: Client, sandbox_id: str) -> None:
    terminal = await client.mutate(
        "openTerminal",
        "id isTerminal",
        sandboxId=sandbox_id,
        command="read go; stty size; tty -s && echo tty",
    )
    assert terminal["isTerminal"]
    await client.mutate("resizeTerminal", "id", terminalId=terminal["id"], columns=101, rows=31)
    await client.mutate("sendInput", "id", executionId=terminal["id"], text="go\n")
    ended = await client.ended(terminal["id"])
    assert ended["status"] == "SUCCEEDED"
    assert "31 101" in ended["stdout"]
    assert "tty" in ended["stdout"]
    logs = await client.show_execution(terminal["id"], "logs { nodes { stream } }")
    assert {node["stream"] for node in logs["logs"]["nodes"]} == {"PTY"}


async def test_a_shell_in_a_terminal_takes_lines_and_control_c(client: Client, sandbox_id: str) -> None:
    terminal = (await client.mutate("openTerminal", "id", sandboxId=sandbox_id))["id"]
    async with client.execution_logs(terminal) as batches:
        said = ""

        async def until(words: str) -> None:
            nonlocal said
            while words not in said:
                batch = await anext(batches)
                said += "".join(chunk["text"] for chunk in batch["chunks"])

        await client.mutate("sendInput", "id", executionId=terminal, text="echo $((6*7)); sleep 100\n")
        await until("42")
        await client.mutate("sendInput", "id", executionId=terminal, text="\x03")
        await until("^C")
        await client.mutate("sendInput", "id", executionId=terminal, text="exit 9\n")
    assert (await client.ended(terminal))["exitCode"] == 9


async def test_the_same_key_twice_is_the_same_execution(
    client: Client, project: Project, sandbox_id: str
) -> None:
    key = str(new_id())
    first = await client.run(sandbox_id, "echo once >> runs; wc -l < runs", idempotencyKey=key)
    async with project.unchanged():
        again = await project.client(web=1).run(
            sandbox_id, "echo once >> runs; wc -l < runs", idempotencyKey=key
        )
    assert again == first
    assert first["stdout"] == "1\n"


async def test_ten_at_the_same_moment_run_once(project: Project, sandbox_id: str) -> None:
    key = str(new_id())
    command = "echo once >> at_once; sleep 0.2; wc -l < at_once"
    answers = await asyncio.gather(
        *(
            project.client(web=number % 2).mutate(
                "executeCommand",
                EXECUTION,
                sandboxId=sandbox_id,
                command=command,
                wait=True,
                idempotencyKey=key,
            )
            for number in range(10)
        )
    )
    assert [answer["stdout"] for answer in answers] == ["1\n"] * 10
    assert len({answer["id"] for answer in answers}) == 1


async def test_a_key_used_for_something_else_is_a_conflict(
    client: Client, project: Project, sandbox_id: str
) -> None:
    key = str(new_id())
    await client.run(sandbox_id, "true", idempotencyKey=key)
    async with client.sandbox() as other:
        for values in (
            {"sandboxId": sandbox_id, "command": "false"},
            {"sandboxId": sandbox_id, "command": "true", "timeoutSeconds": 5},
            {"sandboxId": other, "command": "true"},
        ):
            async with project.unchanged():
                error = await client.refused("executeCommand", idempotencyKey=key, **values)
            assert (error.code, error.field) == ("CONFLICT", ("idempotencyKey",))


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
