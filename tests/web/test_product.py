"""The web process whole: the product's schema, a real database, Valkey and runtime."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphql import parse, validate
from structlog.testing import capture_logs

from commandcenter.access.scope import Role
from commandcenter.settings import Settings
from schema.build import build_schema
from tests.fixtures.runtime import RuntimeProcess
from tests.web.conftest import FirstKey
from tests.web.node import install_packages, run_script
from tests.web.serving import Site, greet, serving_product
from tests.web.test_sign_in import link_token

EXAMPLES = Path(__file__).parents[2] / "web/playground/src/examples"


@pytest.fixture(scope="module")
async def product(
    first_key: FirstKey, database_url: str, redis_url: str, runtime: RuntimeProcess
) -> AsyncIterator[Site]:
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "runtime_url": runtime.url,
            "runtime_api_key": runtime.api_key,
        }
    )
    async with serving_product(settings, first_key.database, first_key.project_id, first_key.secret) as site:
        yield site


async def ask(site: Site, query: str, **variables: object) -> Any:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json={"query": query, "variables": variables}, timeout=30)
    body = answer.json()
    assert "errors" not in body, body
    return body["data"]


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.graphql").read_text()


@pytest.mark.parametrize("name", ["create-sandbox", "run", "watch", "sandboxes", "files"])
async def test_every_example_of_the_playground_fits_the_schema(name: str) -> None:
    assert validate(build_schema()._schema, parse(example(name))) == []


async def test_the_process_is_ready_when_database_and_valkey_answer(product: Site) -> None:
    async with product.client() as client:
        ready = await client.get("/readyz")
    assert ready.json() == {"status": "ready", "checks": {"database": "ok", "valkey": "ok"}}


async def test_the_examples_make_a_first_session(product: Site) -> None:
    created = await ask(product, example("create-sandbox"), input={"name": "first", "ttlSeconds": 1800})
    sandbox = created["createSandbox"]["sandbox"]
    assert sandbox["status"] == "RUNNING", created
    command = {"sandboxId": sandbox["id"], "command": "seq 3"}
    execution = (await ask(product, example("run"), input=command))["executeCommand"]["execution"]
    async with product.socket() as connection:
        await greet(connection, product.key)
        payload = {"query": example("watch"), "variables": {"executionId": execution["id"]}}
        await connection.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode())
        text, ended = "", False
        while not ended:
            message = orjson.loads(await asyncio.wait_for(connection.recv(), 10))
            batch = message["payload"]["data"]["executionLogs"]
            text += "".join(chunk["text"] for chunk in batch["chunks"])
            ended = batch["ended"]
    assert text == "1\n2\n3\n"
    assert (await ask(product, example("sandboxes")))["sandboxes"]["totalCount"] == 1


async def test_the_example_about_files_lists_what_a_command_wrote(product: Site) -> None:
    created = await ask(product, example("create-sandbox"), input={})
    sandbox = created["createSandbox"]["sandbox"]["id"]
    command = (
        "mutation ($input: ExecuteCommandInput!) { executeCommand(input: $input) { userErrors { code } } }"
    )
    await ask(product, command, input={"sandboxId": sandbox, "command": "touch result.txt", "wait": True})
    files = await ask(product, example("files"), sandboxId=sandbox)
    assert "result.txt" in {file["name"] for file in files["sandbox"]["files"]}


async def test_a_person_watches_a_command_in_the_playground(product: Site) -> None:
    install_packages()
    made = await ask(product, example("create-sandbox"), input={"name": "watched"})
    command = {
        "sandboxId": made["createSandbox"]["sandbox"]["id"],
        "command": "for i in $(seq 200); do echo line $i; sleep 0.2; done",
    }
    execution = (await ask(product, example("run"), input=command))["executeCommand"]["execution"]
    link = f"{product.address}/sign-in?token={await link_token(product)}"
    watch = (
        f'subscription {{ executionLogs(executionId: "{execution["id"]}") {{ chunks {{ text }} ended }} }}'
    )
    seen = await run_script("playground.mjs", link, "{ viewer { name } }", watch)
    assert "administrator" in seen["query"]
    assert len(seen["subscription"]) == 3
    assert all("line" in text for text in seen["subscription"])
    assert seen["problems"] == []
    assert seen["foreign"] == []


async def test_a_revoked_key_ends_its_sockets_in_every_process_at_once(product: Site) -> None:
    made = await ask(
        product,
        'mutation { createApiKey(input: {name: "short", role: VIEWER}) { apiKey { id } secret } }',
    )
    async with product.socket() as connection:
        await greet(connection, made["createApiKey"]["secret"])
        revoke = "mutation ($id: ID!) { revokeApiKey(input: {keyId: $id}) { userErrors { message } } }"
        await ask(product, revoke, id=made["createApiKey"]["apiKey"]["id"])
        async with asyncio.timeout(2):
            await connection.wait_closed()
    assert connection.close_code == 4403


async def test_metrics_need_an_instance_administrators_key(product: Site) -> None:
    _, viewer = await product.new_key(Role.VIEWER)
    async with product.client() as client:
        nobody = await client.get("/metrics")
        somebody = await client.get("/metrics", headers={"X-API-Key": viewer})
        administrator = await client.get("/metrics", headers=product.authorization)
    assert (nobody.status_code, somebody.status_code, administrator.status_code) == (401, 401, 200)
    for name in (
        "sandbox_active_count",
        "sandbox_execution_duration_seconds",
        "sandbox_spawn_total",
        "sandbox_error_total",
    ):
        assert f"# TYPE {name} " in administrator.text


@pytest.mark.parametrize("cursor", ["x", "", "//////", "ZXhlY3V0aW9u", "\x00", "é" * 2000])
async def test_a_made_up_id_or_cursor_is_the_callers_mistake(product: Site, cursor: str) -> None:
    queries = (
        "query ($id: ID!, $cursor: String) { node(id: $id) { id } }",
        "query ($id: ID!, $cursor: String) { sandbox(id: $id) { id } }",
        "query ($id: ID!, $cursor: String) { node(id: $id) { id } sandboxes(after: $cursor) { totalCount } }",
    )
    with capture_logs() as lines:
        async with product.client(**product.authorization) as client:
            for query in queries:
                body = {"query": query, "variables": {"id": cursor, "cursor": cursor}}
                answer = await client.post("/graphql", json=body)
                codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
                assert "INTERNAL" not in codes
    assert [line for line in lines if line["event"] == "graphql.internal_error"] == []


async def test_an_error_is_logged_once_and_by_us(product: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with product.client(**product.authorization) as client:
            await client.post("/graphql", json={"query": "{ sandboxes(first: 1000) { totalCount } }"})
    assert [record for record in caplog.records if record.name.startswith("strawberry")] == []
