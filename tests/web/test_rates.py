"""How much may be asked for in a while, and what an answer says about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from commandcenter.settings import Settings
from tests.web.conftest import FirstKey
from tests.web.serving import Site, greet, serving

EVENTS = {"Accept": "text/event-stream"}
# Ten at once, one more each second: on a slow machine some come back while a test runs.
FEW = Settings(key_requests_per_minute=60, key_points_per_minute=20_000)
POLICY = '"key-requests";q=10;w=10, "key-points";q=20000;w=60, "project-requests";q=10000;w=10, '
HUNDRED_TIMES_HUNDRED = "{ person { friends(first: 100) { friends(first: 100) { name } } } }"
TOO_MUCH = "{ person { friends(first: 100) { friends(first: 100) { friends(first: 2) { name } } } } }"


@asynccontextmanager
async def strict_site(first_key: FirstKey, settings: Settings = FEW) -> AsyncIterator[Site]:
    """A server that allows a key ten requests at once."""
    serve = serving(first_key.database, first_key.project_id, first_key.secret, settings=settings)
    async with serve as site:
        yield site


async def ask(client: httpx.AsyncClient, query: str = "{ actor }", **headers: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": query}, headers=headers)


async def use_up(client: httpx.AsyncClient) -> None:
    """Ask until nothing is left."""
    statuses = [(await ask(client)).status_code for _ in range(30)]
    assert set(statuses) == {200, 429}
    assert 10 <= statuses.count(200) <= 20


async def test_each_answer_tells_what_is_left(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        answers = [await ask(client, query) for query in ("{ actor }", "{ nothing }", "{", "{ failing }")]
    for used, answer in enumerate(answers, start=1):
        remaining, reset = (int(answer.headers[f"ratelimit-{name}"]) for name in ("remaining", "reset"))
        assert 10 - used <= remaining < 10
        assert 1 <= reset <= used
        assert answer.headers["ratelimit"] == f'"key-requests";r={remaining};t={reset}'
        assert answer.headers["ratelimit-policy"].startswith(POLICY)
        assert answer.headers["ratelimit-limit"] == "10"
        assert "retry-after" not in answer.headers


async def test_too_many_requests_are_refused_until_the_time_that_is_told(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        await use_up(client)
        refused = await ask(client)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit-remaining"] == "0"
        [error] = refused.json()["errors"]
        assert (error["extensions"]["code"], error["extensions"]["retryAfterSeconds"]) == ("RATE_LIMITED", 1)
        assert "`key-requests` are 10 in 10 s" in error["message"]
        await asyncio.sleep(1)
        assert (await ask(client)).status_code == 200


async def test_who_has_nothing_left_is_refused_whatever_is_asked(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        _, other = await site.new_key()
        await use_up(client)
        refused = await asyncio.gather(*(ask(client, query) for query in ("{ actor }", "{", "{ nothing }")))
        theirs = await ask(client, Authorization=f"Bearer {other}")
    assert {answer.json()["errors"][0]["extensions"]["code"] for answer in refused} == {"RATE_LIMITED"}
    assert theirs.status_code == 200


async def test_each_operation_on_a_socket_counts(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.socket() as connection:
        await greet(connection, site.key)
        for number in range(30):
            message = {"type": "subscribe", "id": str(number), "payload": {"query": "{ actor }"}}
            await connection.send(orjson.dumps(message).decode())
        heard: list[dict[str, Any]] = []
        while sum(message["type"] != "next" for message in heard) < 30:
            heard.append(orjson.loads(await connection.recv()))
    assert 10 <= sum(message["type"] == "complete" for message in heard) <= 20
    refused = next(message for message in heard if message["type"] == "error")
    extensions = refused["payload"][0]["extensions"]
    assert (extensions["code"], extensions["retryAfterSeconds"]) == ("RATE_LIMITED", 1)
    assert extensions["cost"]["limit"] == 20_000


async def test_a_stream_tells_what_is_left_and_is_refused_with_429(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        first = await ask(client, "subscription { count(to: 1) }", **EVENTS)
        assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "9")
        refused = [await ask(client, "subscription { count(to: 1) }", **EVENTS) for _ in range(30)][-1]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "RATE_LIMITED" in refused.text


async def test_attempts_to_sign_in_are_bounded_by_address(first_key: FirstKey) -> None:
    async with strict_site(first_key, Settings(sign_ins_per_minute=3)) as site, site.client() as client:
        page = {"Origin": site.address}
        guesses = [
            await client.post("/sign-in", data={"key": f"cc_{guess}"}, headers=page) for guess in range(4)
        ]
        right = await client.post("/sign-in", data={"key": site.key}, headers=page)
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
    assert right.status_code == 429
    assert 1 <= int(right.headers["retry-after"]) <= 20


async def cost(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    found: dict[str, Any] = (await ask(client, query)).json()["extensions"]["cost"]
    return found


async def test_each_answer_tells_the_operations_cost_refused_ones_too(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        cheap = await cost(client, "{ person { name } }")
        pages = await cost(client, HUNDRED_TIMES_HUNDRED)
        too_much = await cost(client, TOO_MUCH)
        no_document = await cost(client, "{")
    assert cheap == {"requested": 1, "limit": 20_000, "remaining": 19_999, "resetSeconds": 1}
    assert pages["requested"] == 1 + 100 * (1 + 100)
    assert 9_898 <= pages["remaining"] < 15_000
    assert too_much["requested"] == 1 + 100 * (1 + 100 * (1 + 2))
    assert too_much["remaining"] >= pages["remaining"] - 1
    assert no_document["requested"] is None


async def test_points_are_bounded_as_requests_are(first_key: FirstKey) -> None:
    async with strict_site(first_key) as site, site.client(**site.authorization) as client:
        answers = [await ask(client, HUNDRED_TIMES_HUNDRED) for _ in range(2)]
        assert (await ask(client)).status_code == 200
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["ratelimit"].startswith('"key-points";r=')
    assert answers[1].json()["extensions"]["cost"]["requested"] == 10_101
