"""What one HTTP request to /graphql gets."""

from collections.abc import AsyncIterator

import pytest

from tests.web.serving import Site

ASK = {"query": "{ actor }"}


async def test_a_query_is_answered_in_the_name_of_the_key(site: Site) -> None:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json=ASK)
    assert answer.status_code == 200
    assert answer.json()["data"]["actor"].startswith("key:cc_")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_key_may_stand_in_its_own_header(site: Site) -> None:
    async with site.client() as client:
        answer = await client.post("/graphql", json=ASK, headers={"X-API-Key": site.key})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer cc_unknown"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"X-API-Key": ""},
        {"X-API-Key": "x" * 10_000},
        {"Cookie": "commandcenter_session=unknown", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_without_a_valid_key_nothing_is_answered(site: Site, headers: dict[str, str]) -> None:
    async with site.client(**headers) as client:
        answer = await client.post("/graphql", json={"query": "{ __schema { types { name } } }"})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in answer.json()
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"3", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"query": "\xff"}', "not valid JSON"),
        (b"[" * 5000, "not valid JSON"),
        (b"{}", "`query` must be a string"),
        (b'{"query": 3}', "`query` must be a string"),
        (b'{"query": "{actor}", "variables": 3}', "`variables` must be an object"),
        (b'{"query": "{actor}", "variables": "{}"}', "`variables` must be an object"),
        (b'{"query": "{actor}", "operationName": []}', "`operationName` must be a string"),
        (b'{"query": "{actor}", "extensions": []}', "`extensions` must be an object"),
        (b'[{"query": "{actor}"}]', "one operation at a time"),
    ],
)
async def test_a_malformed_request_gets_400_and_says_what_is_wrong(
    site: Site, body: bytes, says: str
) -> None:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert says in error["message"]
    assert error["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_a_body_that_a_form_could_send_is_not_taken(site: Site, media_type: str) -> None:
    async with site.client(**site.authorization) as client:
        answer = await client.post(
            "/graphql", content=b'{"query": "{actor}"}', headers={"Content-Type": media_type}
        )
    assert answer.status_code == 415


async def test_a_wrong_variable_is_a_bad_request(site: Site) -> None:
    body = {"query": "query ($text: String!) { echo(text: $text) }", "variables": {"text": 3}}
    async with site.client(**site.authorization) as client:
        answer = await client.post(
            "/graphql", json=body, headers={"Accept": "application/graphql-response+json"}
        )
    assert answer.status_code == 400
    assert "$text" in answer.json()["errors"][0]["message"]
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_body_over_the_limit_gets_413_whatever_its_length_says(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    async with site.client(**site.authorization) as client:
        headers = {"Content-Type": "application/json"}
        declared = await client.post("/graphql", content=b" " * 1_100_000, headers=headers)
        chunked = await client.post("/graphql", content=endless(), headers=headers)
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert "1048576 bytes" in chunked.json()["errors"][0]["message"]


async def test_get_reads_but_never_writes(site: Site) -> None:
    async with site.client(**site.authorization) as client:
        query = await client.get("/graphql", params={"query": "{ actor }"})
        mutation = await client.get("/graphql", params={"query": "mutation { increment(number: 1) }"})
        subscription = await client.get(
            "/graphql",
            params={"query": "subscription { count(to: 3) }"},
            headers={"Accept": "text/event-stream"},
        )
    assert query.status_code == 200
    assert (mutation.status_code, subscription.status_code) == (405, 405)
    assert mutation.headers["allow"] == "POST"
    assert subscription.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_refused(site: Site, method: str) -> None:
    async with site.client(**site.authorization) as client:
        answer = await client.request(method, "/graphql")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_a_subscription_without_a_stream_says_what_it_needs(site: Site) -> None:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json={"query": "subscription { count(to: 3) }"})
    assert answer.status_code == 400
    assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]
