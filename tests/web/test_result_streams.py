"""Subscriptions in one HTTP response: server-sent events and multipart."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from tests.web.serving import Site
from tests.web.small_schema import OPEN_STREAMS, STREAM_CLOSED

EVENTS = {"Accept": "text/event-stream"}
PARTS = {"Accept": 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'}


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            text = line.removeprefix("data:").strip()
            yield name, orjson.loads(text) if text else None


async def test_server_sent_events_carry_each_value_and_complete(site: Site) -> None:
    body = {"query": "subscription { count(to: 2) }"}
    async with (
        site.client(**site.authorization) as client,
        client.stream("POST", "/graphql", json=body, headers=EVENTS) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = [event async for event in events(answer)]
    assert [name for name, _ in heard] == ["next", "next", "complete"]
    assert [value["data"] for _, value in heard[:2]] == [{"count": 1}, {"count": 2}]


async def test_a_query_may_come_as_an_event_too(site: Site) -> None:
    async with (
        site.client(**site.authorization) as client,
        client.stream(
            "POST", "/graphql", json={"query": '{ echo(text: "a\\nb") }'}, headers=EVENTS
        ) as answer,
    ):
        heard = [event async for event in events(answer)]
    assert heard[0][1]["data"] == {"echo": "a\nb"}


async def test_multipart_carries_each_value_as_apollo_reads_it(site: Site) -> None:
    body = {"query": "subscription { count(to: 2) }"}
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json=body, headers=PARTS)
    assert answer.headers["content-type"].startswith("multipart/mixed;boundary=graphql")
    parts = [part.partition("\r\n\r\n")[2] for part in answer.text.split("\r\n--graphql")]
    values = [orjson.loads(part) for part in parts if part.startswith("{")]
    assert [value["payload"]["data"] for value in values if value] == [{"count": 1}, {"count": 2}]
    assert answer.text.endswith("--graphql--\r\n")


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
async def test_no_stream_is_compressed_or_kept(site: Site, accept: dict[str, str]) -> None:
    body = {"query": "subscription { count(to: 2) }"}
    async with site.client(**site.authorization) as client:
        headers = {**accept, "Accept-Encoding": "gzip, br"}
        answer = await client.post("/graphql", json=body, headers=headers)
    assert "content-encoding" not in answer.headers
    assert "no-transform" in answer.headers["cache-control"]


async def test_an_error_in_a_stream_is_masked(site: Site) -> None:
    async with site.client(**site.authorization) as client:
        body = {"query": "subscription { breakDown }"}
        answer = await client.post("/graphql", json=body, headers=EVENTS)
    assert "INTERNAL" in answer.text
    assert "hunter2" not in answer.text


async def test_a_stream_needs_a_key(site: Site) -> None:
    async with site.client() as client:
        answer = await client.post("/graphql", json={"query": "subscription { wait }"}, headers=EVENTS)
    assert answer.status_code == 401


async def test_a_client_that_goes_ends_its_stream(site: Site) -> None:
    async with (
        site.client(**site.authorization) as client,
        client.stream("POST", "/graphql", json={"query": "subscription { wait }"}, headers=EVENTS) as answer,
    ):
        _, value = await anext(events(answer))
        stream = int(value["data"]["wait"])
        assert stream in OPEN_STREAMS
        STREAM_CLOSED.clear()
    await asyncio.wait_for(STREAM_CLOSED.wait(), 5)
    assert stream not in OPEN_STREAMS


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
async def test_a_revoked_key_ends_its_open_streams(site: Site, accept: dict[str, str]) -> None:
    key_id, secret = await site.new_key()
    async with (
        site.client(Authorization=f"Bearer {secret}") as client,
        client.stream("POST", "/graphql", json={"query": "subscription { wait }"}, headers=accept) as answer,
    ):
        text = answer.aiter_text()
        while "wait" not in await anext(text):
            pass
        await site.revoke(key_id)
        rest = "".join([piece async for piece in text])
    assert "UNAUTHENTICATED" in rest
