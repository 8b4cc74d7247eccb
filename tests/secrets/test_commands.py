"""Commands get secrets by name; nobody sees their values, in what the API shows or in what is stored."""

import base64
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from commandcenter.access.scope import Role
from commandcenter.database import Database
from commandcenter.records import Record
from commandcenter.secrets.records import SecretVersion
from commandcenter.secrets.upkeep import forget_replaced_values
from tests.fixtures.children import said_by
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project
from tests.logs.reading import Reader

VALUE = "sk-test-7Kq+/v9 é x4LpWz"
OTHER = "of one command only: tr0ub4dor&3"
STARS = "*" * len(VALUE.encode())
DIGEST = 'printf %s "$TOKEN" | sha256sum'
READY = "until [ -s /tmp/secret ]; do sleep 0.02; done; cat /tmp/secret"


def digest(value: str) -> str:
    return f"{hashlib.sha256(value.encode()).hexdigest()}  -\n"


@pytest.fixture(scope="module", autouse=True)
async def secrets(project: Project) -> None:
    await set_secrets(project, TOKEN=VALUE, OTHER=OTHER)


@pytest.fixture(scope="module")
async def sandbox_id(client: Client, secrets: None) -> AsyncIterator[str]:
    """A sandbox all of whose commands have TOKEN."""
    async with client.sandbox(secrets=["TOKEN"]) as made:
        yield made


async def set_secrets(project: Project, **values: str) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    for name, value in values.items():
        await administrator.mutate("setSecret", "id", name=name, value=value)


async def test_every_command_of_a_sandbox_has_its_secrets_and_shows_none(
    client: Client, sandbox_id: str
) -> None:
    assert (await client.run(sandbox_id, DIGEST))["stdout"] == digest(VALUE)
    ran = await client.run(
        sandbox_id,
        'echo "<$TOKEN>"; echo "$TOKEN" >&2; printf %s "$TOKEN" | base64; env | grep TOKEN; '
        "python3 -c \"import os, urllib.parse as u; print(u.quote(os.environ['TOKEN'], safe=str()))\"",
    )
    encoded = base64.b64encode(VALUE.encode()).decode()
    quoted = len("sk-test-7Kq%2B%2Fv9%20%C3%A9%20x4LpWz")
    as_base64 = "*" * len(encoded.rstrip("=")) + "=" * encoded.count("=")
    assert ran["stdout"] == f"<{STARS}>\n{as_base64}\nTOKEN={STARS}\n{'*' * quoted}\n"
    assert ran["stderr"] == f"{STARS}\n"
    assert ran["stdoutBytes"] == len(ran["stdout"])


async def test_a_terminal_has_them_too_and_a_secret_that_comes_in_pieces_is_masked(
    client: Client, sandbox_id: str
) -> None:
    command = 'for i in $(seq 0 24); do printf %s "${TOKEN:$i:1}"; sleep 0.002; done; printf " co"; read line'
    terminal = await client.mutate("openTerminal", "id", sandboxId=sandbox_id, command=command)
    async with client.execution_logs(terminal["id"]) as batches:
        seen = ""
        async for batch in batches:
            seen += "".join(chunk["text"] for chunk in batch["chunks"])
            if seen.endswith("co"):
                await client.mutate("cancelExecution", "id", executionId=terminal["id"])
    assert seen.startswith(f"{STARS} co")


async def test_a_command_gets_secrets_for_itself_and_they_are_masked_from_then_on(
    client: Client, sandbox_id: str
) -> None:
    ran = await client.run(
        sandbox_id, 'printf %s "$OTHER" | sha256sum; echo "$OTHER" | tee /tmp/other', secrets=["OTHER"]
    )
    assert ran["stdout"] == digest(OTHER) + "*" * len(OTHER) + "\n"
    after = await client.run(sandbox_id, 'echo "<$OTHER>"; cat /tmp/other')
    assert after["stdout"] == "<>\n" + "*" * len(OTHER) + "\n"


async def test_a_secret_that_is_given_in_another_process_is_masked_in_what_runs_already(
    project: Project,
) -> None:
    clients = project.client(web=0), project.client(web=1)
    async with clients[0].sandbox() as sandbox_id:
        watching = await clients[0].start(sandbox_id, f"echo begun; {READY}")
        async with clients[0].execution_logs(watching) as batches:
            await anext(batches)
        await clients[1].run(sandbox_id, 'echo "a $TOKEN" > /tmp/secret', secrets=["TOKEN"])
        ended = await clients[1].ended(watching)
    assert ended["stdout"] == f"begun\na {STARS}\n"


async def test_who_takes_an_execution_over_masks_a_secret_that_was_begun(
    product: Product, project: Project
) -> None:
    survivor = project.client(web=1)
    command = 'printf "%s" "begun ${TOKEN:0:9}"; until [ -e /tmp/go ]; do sleep 0.02; done; echo "${TOKEN:9}"'
    async with product.another_web_process() as doomed, survivor.sandbox(secrets=["TOKEN"]) as sandbox_id:
        execution = await project.client_of(doomed).start(sandbox_id, command)
        reader = Reader()
        await reader.read_execution(survivor, execution, until=6)
        os.kill(doomed.child.process_id, signal.SIGKILL)
        await survivor.run(sandbox_id, "touch /tmp/go")
        await reader.read_execution(survivor, execution)
    assert reader.only("STDOUT").decode() == f"begun {STARS}\n"
    assert reader.gaps == []


async def test_a_new_value_goes_to_new_commands_and_the_old_one_stays_masked(
    product: Product, client: Client
) -> None:
    project = await product.new_project()
    await set_secrets(project, TOKEN=VALUE)
    client = project.client()
    async with client.sandbox(secrets=["TOKEN"]) as sandbox_id:
        await client.run(sandbox_id, 'echo "$TOKEN" > /tmp/first')
        await set_secrets(project, TOKEN=OTHER)
        assert (await client.run(sandbox_id, DIGEST))["stdout"] == digest(VALUE)
        assert (await client.run(sandbox_id, DIGEST, secrets=["TOKEN"]))["stdout"] == digest(OTHER)
        await project.client(Role.ADMINISTRATOR).mutate("deleteSecret", "id", name="TOKEN")
        await forgotten(product.database, project, 0)
        assert (await client.run(sandbox_id, "cat /tmp/first"))["stdout"] == f"{STARS}\n"
        assert (await client.run(sandbox_id, DIGEST))["stdout"] == digest(VALUE)
    await forgotten(product.database, project, 2)


async def forgotten(database: Database, project: Project, count: int) -> None:
    """See that upkeep removes so many values of the project, once their time has come."""
    async with database.transaction(project.id) as session:
        before = await session.scalar(select(func.count()).select_from(SecretVersion))
    await forget_replaced_values(database, grace=timedelta(0))
    async with database.transaction(project.id) as session:
        after = await session.scalar(select(func.count()).select_from(SecretVersion))
    assert before is not None
    assert after == before - count


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"secrets": ["TOKEN", "MISSING"]}, "NOT_FOUND", "MISSING"),
        ({"secrets": ["TOKEN", "TOKEN"]}, "INVALID", "once"),
        ({"secrets": ["TOKEN"], "envs": [{"name": "TOKEN", "value": "x"}]}, "CONFLICT", "TOKEN"),
        ({"secrets": [f"S{number}" for number in range(101)]}, "INVALID", "100"),
    ],
)
async def test_a_request_whose_secrets_cannot_be_given_changes_nothing(
    project: Project, client: Client, sandbox_id: str, values: dict[str, Any], code: str, words: str
) -> None:
    async with project.unchanged():
        for mutation, others in (
            ("createSandbox", {}),
            ("executeCommand", {"sandboxId": sandbox_id, "command": "true"}),
        ):
            error = await client.refused(mutation, **others, **values)
            assert (error.code, error.field) == (code, ("secrets",))
            assert words in error.message


async def test_another_projects_secret_is_not_there(product: Product, sandbox_id: str) -> None:
    other = (await product.new_project()).client()
    assert (await other.refused("createSandbox", secrets=["TOKEN"])).code == "NOT_FOUND"


@pytest.mark.parametrize("values", [{"name": f"for {VALUE}"}, {"metadata": {"key": [VALUE]}}])
async def test_a_sandbox_is_not_called_like_its_secret(
    project: Project, client: Client, values: dict[str, Any]
) -> None:
    async with project.unchanged():
        error = await client.refused("createSandbox", secrets=["TOKEN"], **values)
    assert error.code == "INVALID"
    assert VALUE not in error.message


async def test_no_value_is_stored_shown_or_logged_in_clear(
    product: Product, project: Project, client: Client, sandbox_id: str
) -> None:
    command = f"echo '{VALUE}'; printf %s \"$TOKEN\" | base64"
    shown = await client.run(sandbox_id, command, idempotencyKey="in-the-command-line")
    assert (await client.show_execution(shown["id"], "command"))["command"].startswith(f"echo '{STARS}'")
    error = await client.refused("executeCommand", sandboxId=sandbox_id, command="true", cwd=f"/{VALUE}")
    assert VALUE not in error.message
    dumped = await dump(product.database)
    assert b"in-the-command-line" in dumped
    for form in forms(VALUE):
        assert form not in dumped, form
        for child in (*(web.child for web in product.webs), product.worker):
            assert form.decode() not in said_by(child)


async def test_a_value_is_not_repeated_to_who_sends_it_in_the_wrong_place(project: Project) -> None:
    administrator = project.client(Role.ADMINISTRATOR)
    document = "mutation($input: SetSecretInput!) { setSecret(input: $input) { secret { id } } }"
    for given in (
        {"value": VALUE},
        {"name": "A", "value": [VALUE]},
        {"name": "A", "value": VALUE, "more": VALUE},
        {"name": {"value": VALUE}, "value": VALUE},
        [VALUE],
        VALUE,
    ):
        answer = await administrator.answer(document, input=given)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        assert VALUE not in repr(answer)
        assert "input" in answer["errors"][0]["message"]
    for literal in ('{name: "A", value: 1234567890}', '{name: A, value: ["1234567890"]}', '"1234567890"'):
        document = f"mutation {{ setSecret(input: {literal}) {{ secret {{ id }} }} }}"
        answer = await administrator.answer(document)
        assert "1234567890" not in repr(answer)


def forms(value: str) -> list[bytes]:
    encoded = value.encode()
    return [encoded, encoded.hex().encode(), *(base64.b64encode(bytes(n) + encoded)[4:-4] for n in range(3))]


async def dump(database: Database) -> bytes:
    """Everything that is stored, as text and as the bytes themselves."""
    parts: list[bytes] = []
    async with database.system_transaction() as session:
        for table in Record.metadata.sorted_tables:
            for row in await session.execute(select(table)):
                parts.extend(value if isinstance(value, bytes) else str(value).encode() for value in row)
    return b"\n".join(parts)
