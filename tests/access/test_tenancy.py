"""Another project's objects are as if they were not there: for every operation that the schema has."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from commandcenter.access.scope import Role
from commandcenter.events.records import Event
from commandcenter.identifiers import new_id
from commandcenter.keys.records import ApiKey
from resolvers.ids import global_id, parse_global_id
from tests.access.operations import Operation, fields_with_ids, operations
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

MARKER = "hushhush"
TYPES = ("Sandbox", "Execution", "Snapshot", "Project", "ApiKey", "Event", "Secret")
ALL = list(operations("query", "mutation", "subscription"))
# These begin with what is there already; every other subscription waits for something to happen.
WITHOUT_IDS = [each for each in ALL if not each.takes_ids and each.kind != "subscription"]
WITH_IDS = [each for each in ALL if each.takes_ids]


@dataclass(frozen=True)
class Foreign:
    """A project with one of everything, its ids by type, and what must never be shown to others."""

    project: Project
    ids: dict[str, str]
    secrets: frozenset[str]


@pytest.fixture(scope="module")
async def foreign(product: Product) -> AsyncIterator[Foreign]:
    project = await product.new_project()
    client = project.client()
    made = await client.create_sandbox(name=MARKER, metadata={MARKER: MARKER})
    execution = await client.mutate(
        "openTerminal", "id", sandboxId=made["id"], command=f"echo {MARKER}; read line"
    )
    async with client.execution_logs(execution["id"]) as batches:
        await anext(batches)
    snapshot = await client.mutate(
        "createSnapshot", "id providerSnapshotId", sandboxId=made["id"], name=MARKER
    )
    administrator = project.client(Role.ADMINISTRATOR)
    secret = await administrator.mutate("setSecret", "id", name=MARKER.upper(), value=MARKER)
    async with product.database.transaction(project.id) as session:
        key = (await session.scalars(select(ApiKey).limit(1))).one()
        event = (await session.scalars(select(Event).limit(1))).one()
    ids = {
        "Sandbox": made["id"],
        "Execution": execution["id"],
        "Snapshot": snapshot["id"],
        "Project": global_id("Project", project.id),
        "ApiKey": global_id("ApiKey", key.id),
        "Event": global_id("Event", event.id),
        "Secret": secret["id"],
    }
    secrets = {
        MARKER,
        MARKER.upper(),
        made["providerSandboxId"],
        snapshot["providerSnapshotId"],
        key.prefix,
        *ids.values(),
    }
    for each in ids.values():
        parsed = parse_global_id(each)
        assert parsed is not None
        secrets |= {parsed[1].hex, str(parsed[1])}
    yield Foreign(project, ids, frozenset(secrets))
    await client.mutate("deleteSnapshot", "id", snapshotId=snapshot["id"])
    await client.mutate("terminateSandbox", "id", sandboxId=made["id"])


@pytest.fixture(scope="module")
def attacker(project: Project) -> Client:
    """The administrator of another project."""
    return project.client(Role.ADMINISTRATOR)


def absent_ids() -> dict[str, str]:
    """Well-formed ids of what nobody has."""
    return {name: global_id(name, new_id()) for name in TYPES}


def see_no_leak(answer: Any, foreign: Foreign) -> None:
    text = json.dumps(answer)
    assert [secret for secret in foreign.secrets if secret in text] == []


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
async def test_a_foreign_id_is_answered_like_one_that_nobody_has(
    attacker: Client, foreign: Foreign, operation: Operation
) -> None:
    async with foreign.project.unchanged():
        answer = await answer_to(attacker, operation, foreign.ids)
    absent = await answer_to(attacker, operation, absent_ids())
    assert answer == absent
    see_no_leak(answer, foreign)
    assert is_nothing(answer), answer


@pytest.mark.parametrize("operation", WITHOUT_IDS, ids=str)
async def test_an_operation_without_ids_shows_and_changes_nothing_foreign(
    attacker: Client, foreign: Foreign, operation: Operation
) -> None:
    async with foreign.project.unchanged():
        answer = await answer_to(attacker, operation, {})
    see_no_leak(answer, foreign)
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert set(codes) <= {"FORBIDDEN"}, answer


@pytest.mark.parametrize("type_name", TYPES)
async def test_no_foreign_node_is_found_whatever_its_id_says_it_is(
    attacker: Client, foreign: Foreign, type_name: str
) -> None:
    parsed = parse_global_id(foreign.ids[type_name])
    assert parsed is not None
    ids = [global_id(name, parsed[1]) for name in (*TYPES, "X")]
    answer = await attacker.query("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert answer["nodes"] == [None] * len(ids)
    for each in ids:
        assert (await attacker.query("query($id: ID!) { node(id: $id) { id } }", id=each))["node"] is None


async def test_an_own_sandbox_does_not_show_a_foreign_execution(attacker: Client, foreign: Foreign) -> None:
    assert set(fields_with_ids()) == {("Sandbox", "execution")}
    async with attacker.sandbox() as own:
        document = "query($id: ID!, $other: ID!) { sandbox(id: $id) { execution(id: $other) { id } } }"
        for other in (foreign.ids["Execution"], absent_ids()["Execution"]):
            answer = await attacker.query(document, id=own, other=other)
            assert answer == {"sandbox": {"execution": None}}


async def test_foreign_cursors_open_no_foreign_list(attacker: Client, foreign: Foreign) -> None:
    victim = foreign.project.client(Role.ADMINISTRATOR)
    for name in ("sandboxes", "executions", "events"):
        document = f"query($after: String) {{ {name}(after: $after) {{ totalCount edges {{ cursor }} }} }}"
        edges = (await victim.query(document))[name]["edges"]
        own = (await attacker.query(document))[name]["totalCount"]
        answer = await attacker.query(document, after=edges[0]["cursor"])
        assert answer[name]["totalCount"] == own
        see_no_leak(answer, foreign)


async def test_what_happens_in_a_foreign_project_is_not_announced(attacker: Client, foreign: Foreign) -> None:
    victim = foreign.project.client()
    async with attacker.subscribe("subscription { sandboxChanged { name } }") as changes:
        first = asyncio.ensure_future(anext(changes))
        async with victim.sandbox(name=MARKER), attacker.sandbox(name="own"):
            assert await first == {"name": "own"}


async def test_a_key_opens_its_own_project_alone(attacker: Client, project: Project) -> None:
    answer = await attacker.query("{ project { id } viewer { project { id } role } }")
    own = {"id": global_id("Project", project.id)}
    assert answer == {"project": own, "viewer": {"project": own, "role": "ADMINISTRATOR"}}


async def answer_to(client: Client, operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """The answer to an operation; of a subscription the first thing that it brings."""
    variables = operation.variables(ids)
    if operation.kind != "subscription":
        return await client.answer(operation.document, **variables)
    async with client.subscribe(operation.document, **variables) as values:
        error = await values.first_error()
    return {"data": None, "errors": [{"message": error.message, "extensions": {"code": error.code}}]}


def is_nothing(answer: dict[str, Any]) -> bool:
    """Whether an answer is null, an empty list, or that there is nothing of the kind."""
    errors = [error["extensions"]["code"] for error in answer.get("errors", ())]
    if errors:
        return set(errors) == {"NOT_FOUND"}
    [value] = answer["data"].values()
    if isinstance(value, dict) and "userErrors" in value:
        return [error["code"] for error in value["userErrors"]] == ["NOT_FOUND"]
    if isinstance(value, dict) and "totalCount" in value:
        return bool(value["totalCount"] == 0 and value["nodes"] == [])
    return value is None or value == [None]
