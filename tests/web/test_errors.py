"""What callers are told when something goes wrong."""

from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from tests.web.serving import Site


async def ask(site: Site, query: str) -> dict[str, Any]:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json={"query": query})
    body: dict[str, Any] = answer.json()
    return body


async def test_an_error_of_ours_is_masked_and_found_in_the_log_by_its_reference(site: Site) -> None:
    with capture_logs() as lines:
        body = await ask(site, "{ failing actor }")
    [error] = body["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["path"] == ["failing"]
    assert b"hunter2" not in orjson.dumps(body)
    assert body["data"]["actor"].startswith("key:")
    [line] = [line for line in lines if line["event"] == "graphql.internal_error"]
    assert line["reference"] == error["extensions"]["reference"]
    assert "hunter2" in str(line["exc_info"][1])


async def test_a_value_that_breaks_its_type_is_an_error_of_ours(site: Site) -> None:
    body = await ask(site, "{ lying }")
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert b"no number" not in orjson.dumps(body)


async def test_a_domain_error_keeps_its_code_message_and_field(site: Site) -> None:
    [error] = (await ask(site, "{ refusing }"))["errors"]
    assert error["message"] == "ttlSeconds must be positive."
    assert error["extensions"] == {"code": "INVALID", "field": ["ttlSeconds"]}


async def test_an_error_with_a_code_of_its_own_passes(site: Site) -> None:
    [error] = (await ask(site, "{ forbidding }"))["errors"]
    assert error["message"] == "Ask an administrator."
    assert error["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "query", ["{ acto }", "{ person { nam } }", "{ echo(tex: 3) }", "{ echo(text: 3) }", "{"]
)
async def test_a_wrong_document_is_a_bad_request_without_suggestions(site: Site, query: str) -> None:
    body = await ask(site, query)
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_REQUEST"}
    assert b"Did you mean" not in orjson.dumps(body)
    assert "data" not in body


async def test_several_operations_need_a_name(site: Site) -> None:
    body = await ask(site, "query A { actor } query B { person { name } }")
    assert "operationName" in body["errors"][0]["message"]
