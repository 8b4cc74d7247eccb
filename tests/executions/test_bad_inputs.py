"""Each bad input of what acts on executions: one error that names its field, and nothing changed."""

from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.product import Project

BadInput = tuple[dict[str, Any], str, str]

# A terminal without a command is a shell.
BLANK_COMMANDS: list[BadInput] = [
    ({"command": ""}, "INVALID", "command"),
    ({"command": " \n"}, "INVALID", "command"),
]
BAD_COMMANDS: list[BadInput] = [
    ({"command": "echo a\0b"}, "INVALID", "command"),
    ({"command": "x" * 131_072}, "INVALID", "command"),
    ({"cwd": "/no/such/folder"}, "INVALID", "cwd"),
    ({"cwd": "/etc/hostname"}, "INVALID", "cwd"),
    ({"cwd": ""}, "INVALID", "cwd"),
    ({"cwd": "/tmp\0"}, "INVALID", "cwd"),
    ({"cwd": "/" + "d" * 5000}, "INVALID", "cwd"),
    ({"user": "nobody-of-this-name"}, "INVALID", "user"),
    ({"user": "nobody-here"}, "INVALID", "user"),
    ({"user": ""}, "INVALID", "user"),
    ({"user": "a\0b"}, "INVALID", "user"),
    ({"timeoutSeconds": 0}, "INVALID", "timeoutSeconds"),
    ({"timeoutSeconds": 86_401}, "INVALID", "timeoutSeconds"),
    ({"envs": [{"name": "A-B", "value": ""}]}, "INVALID", "envs"),
    ({"envs": [{"name": "A", "value": "\0"}]}, "INVALID", "envs"),
    ({"idempotencyKey": "with space"}, "INVALID", "idempotencyKey"),
    ({"sandboxId": "nonsense"}, "NOT_FOUND", "sandboxId"),
]


@pytest.mark.parametrize("command", [*BLANK_COMMANDS, *BAD_COMMANDS], ids=lambda bad: str(bad)[:50])
async def test_a_bad_command_is_one_error_and_starts_nothing(
    client: Client, project: Project, sandbox_id: str, command: BadInput
) -> None:
    await see_refused(client, project, sandbox_id, "executeCommand", command)


@pytest.mark.parametrize("command", BAD_COMMANDS, ids=lambda bad: str(bad)[:50])
async def test_a_bad_terminal_is_one_error_and_starts_nothing(
    client: Client, project: Project, sandbox_id: str, command: BadInput
) -> None:
    await see_refused(client, project, sandbox_id, "openTerminal", command)


async def see_refused(
    client: Client, project: Project, sandbox_id: str, mutation: str, bad: BadInput
) -> None:
    given, code, field = bad
    async with project.unchanged_but("sandboxes.last_activity_at", "sandboxes.execution_count"):
        error = await client.refused(mutation, **{"sandboxId": sandbox_id, "command": "true", **given})
    assert (error.code, error.field) == (code, (field,))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"columns": 0}, "columns"),
        ({"columns": 1001}, "columns"),
        ({"rows": 0}, "rows"),
        ({"rows": -1}, "rows"),
    ],
)
async def test_a_terminal_has_a_size_that_terminals_have(
    client: Client, project: Project, sandbox_id: str, given: dict[str, int], field: str
) -> None:
    async with project.unchanged():
        error = await client.refused("openTerminal", sandboxId=sandbox_id, **given)
    assert (error.code, error.field) == ("INVALID", (field,))
    terminal = await client.mutate("openTerminal", "id", sandboxId=sandbox_id, command="read line")
    size = {"columns": 80, "rows": 24, **given}
    async with project.unchanged():
        error = await client.refused("resizeTerminal", terminalId=terminal["id"], **size)
    assert (error.code, error.field) == ("INVALID", (field,))
    await client.mutate("cancelExecution", "id", executionId=terminal["id"])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "text"),
        ({"text": "a", "base64": "YQ=="}, "text"),
        ({"base64": "%%%"}, "base64"),
        ({"base64": "é"}, "base64"),
        ({"base64": "YQ"}, "base64"),
    ],
    ids=["nothing", "both", "no base64", "no ascii", "no padding"],
)
async def test_bad_input_for_a_command_is_refused(
    client: Client, project: Project, sandbox_id: str, given: dict[str, str], field: str
) -> None:
    execution = await client.start(sandbox_id, "cat", stdin=True)
    async with project.unchanged():
        error = await client.refused("sendInput", executionId=execution, **given)
    assert (error.code, error.field) == ("INVALID", (field,))
    await client.mutate("sendInput", "id", executionId=execution, close=True)
    assert (await client.ended(execution))["stdout"] == ""


async def test_more_input_than_a_request_may_hold_is_refused_early(client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, "cat", stdin=True)
    document = "mutation($input: SendInputInput!) { sendInput(input: $input) { userErrors { code } } }"
    [error] = await client.errors(document, input={"executionId": execution, "text": "x" * 1_048_577})
    assert error.code == "BAD_REQUEST"
    await client.mutate("cancelExecution", "id", executionId=execution)


async def test_input_is_refused_where_nothing_takes_it(
    client: Client, project: Project, sandbox_id: str
) -> None:
    without_stdin = await client.start(sandbox_id, "sleep 20")
    ended = (await client.run(sandbox_id, "true", stdin=True))["id"]
    for execution in (without_stdin, ended):
        async with project.unchanged():
            error = await client.refused("sendInput", executionId=execution, text="x")
        assert (error.code, error.field) == ("WRONG_STATE", ("executionId",))
    async with project.unchanged():
        error = await client.refused("resizeTerminal", terminalId=without_stdin, columns=80, rows=24)
    assert error.code == "WRONG_STATE"
    await client.mutate("cancelExecution", "id", executionId=without_stdin)


@pytest.mark.parametrize(
    ("mutation", "values"),
    [("cancelExecution", {}), ("sendInput", {"text": "x"}), ("resizeTerminal", {"columns": 80, "rows": 24})],
)
@pytest.mark.parametrize("execution_id", ["", "nonsense", "é", "a" * 10_000])
async def test_what_is_no_id_is_not_found(
    client: Client, mutation: str, values: dict[str, Any], execution_id: str
) -> None:
    name = "terminalId" if mutation == "resizeTerminal" else "executionId"
    error = await client.refused(mutation, **{name: execution_id, **values})
    assert (error.code, error.field) == ("NOT_FOUND", (name,))
