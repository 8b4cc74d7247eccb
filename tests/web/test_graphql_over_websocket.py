"""What a WebSocket to /graphql does: the subprotocol graphql-transport-ws, rule by rule."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.web.conftest import FirstKey
from tests.web.serving import Site, greet, serving
from tests.web.small_schema import OPEN_STREAMS, STREAM_CLOSED


async def say(connection: ClientConnection, message: object) -> None:
    await connection.send(orjson.dumps(message).decode())


async def hear(connection: ClientConnection) -> Any:
    return orjson.loads(await asyncio.wait_for(connection.recv(), 5))


async def subscribe(connection: ClientConnection, query: str, *, name: str = "1", **more: object) -> None:
    await say(connection, {"type": "subscribe", "id": name, "payload": {"query": query, **more}})


async def closing(connection: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as ended:
        await asyncio.wait_for(connection.recv(), 5)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


async def test_a_subscription_sends_each_value_and_completes(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "subscription { count(to: 3) }")
        values = [await hear(connection) for _ in range(4)]
    assert [value["payload"]["data"] for value in values[:-1]] == [{"count": 1}, {"count": 2}, {"count": 3}]
    assert values[-1] == {"id": "1", "type": "complete"}


async def test_queries_and_mutations_run_on_a_socket_too(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "mutation { increment(number: 1) }")
        assert (await hear(connection))["payload"]["data"] == {"increment": 2}
        assert (await hear(connection))["type"] == "complete"


@pytest.mark.parametrize(
    "payload", [{"Authorization": "Bearer KEY"}, {"authorization": "bearer KEY"}, {"apiKey": "KEY"}]
)
async def test_the_key_comes_with_connection_init(site: Site, payload: dict[str, str]) -> None:
    given = {name: value.replace("KEY", site.key) for name, value in payload.items()}
    async with site.socket() as connection:
        await say(connection, {"type": "connection_init", "payload": given})
        assert await hear(connection) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "payload", [None, {}, {"Authorization": "Bearer cc_no"}, {"Authorization": 3}, {"apiKey": ""}]
)
async def test_without_a_valid_key_the_socket_is_refused(site: Site, payload: object) -> None:
    async with site.socket() as connection:
        await say(connection, {"type": "connection_init", "payload": payload})
        code, reason = await closing(connection)
    assert code == 4403
    assert reason.startswith("Forbidden")


MALFORMED = [
    "",
    "{",
    "[]",
    "null",
    "3",
    '"x"',
    "{}",
    '{"type": 3}',
    '{"type": "unknown"}',
    '{"type": "%s"}' % ("x" * 5000),
    '{"type": "start", "id": "1"}',
    '{"type": "ping", "payload": 3}',
    '{"type": "pong", "payload": "x"}',
    '{"type": "connection_init", "payload": []}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ actor }"}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ actor }"}}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "1", "payload": null}',
    '{"type": "subscribe", "id": "1", "payload": "{ actor }"}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 3}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ actor }", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ actor }", "operationName": 3}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ actor }", "extensions": "x"}}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 3}',
    "[" * 5000,
]


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("initialised", [False, True])
async def test_a_malformed_message_closes_the_socket_with_4400(
    site: Site, text: str, initialised: bool
) -> None:
    async with site.socket() as connection:
        if initialised:
            await greet(connection, site.key)
        await connection.send(text)
        code, reason = await closing(connection)
    assert code == 4400
    assert reason


async def test_binary_messages_close_the_socket_with_4400(site: Site) -> None:
    async with site.socket() as connection:
        await connection.send(b'{"type":"ping"}')
        assert (await closing(connection))[0] == 4400


async def test_a_message_over_the_limit_closes_the_socket_with_1009(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await connection.send('{"type":"ping","payload":{"x":"%s"}}' % ("x" * 1_100_000))
        assert (await closing(connection))[0] == 1009


async def test_subscribing_before_the_greeting_closes_the_socket_with_4401(site: Site) -> None:
    async with site.socket() as connection:
        await subscribe(connection, "{ actor }")
        code, reason = await closing(connection)
    assert (code, reason[:12]) == (4401, "Unauthorized")


async def test_a_second_greeting_closes_the_socket_with_4429(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await say(connection, {"type": "connection_init"})
        assert await closing(connection) == (4429, "Too many initialisation requests")


async def test_an_id_in_use_closes_the_socket_with_4409(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "subscription { wait }", name="a")
        await hear(connection)
        await subscribe(connection, "{ actor }", name="a")
        assert await closing(connection) == (4409, "Subscriber for a already exists")


async def test_an_id_may_be_used_again_once_its_operation_has_ended(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        for _ in range(3):
            await subscribe(connection, "{ actor }", name="a")
            assert (await hear(connection))["type"] == "next"
            assert (await hear(connection))["type"] == "complete"


@pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"]])
async def test_other_subprotocols_close_the_socket_with_4406(site: Site, subprotocols: list[str]) -> None:
    async with site.socket(subprotocols=subprotocols) as connection:
        assert (await closing(connection))[0] == 4406


async def test_a_socket_that_does_not_greet_is_closed_with_4408(first_key: FirstKey) -> None:
    async with (
        serving(
            first_key.database,
            first_key.project_id,
            first_key.secret,
            connection_init_timeout=timedelta(milliseconds=200),
        ) as site,
        site.socket() as connection,
    ):
        await say(connection, {"type": "ping"})
        assert await hear(connection) == {"type": "pong"}
        assert await closing(connection) == (4408, "Connection initialisation timeout")


async def test_pings_are_answered_and_pongs_are_not(site: Site) -> None:
    async with site.socket() as connection:
        await say(connection, {"type": "pong"})
        await say(connection, {"type": "ping", "payload": {"at": 1}})
        assert await hear(connection) == {"type": "pong"}


@pytest.mark.parametrize(
    "query", ["{", "{ unknown }", "query A { actor } query B { actor }", "subscription { refuse }"]
)
async def test_a_refused_operation_ends_with_an_error_and_the_socket_stays(site: Site, query: str) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, query, name="bad")
        refusal = await hear(connection)
        assert (refusal["id"], refusal["type"]) == ("bad", "error")
        assert refusal["payload"][0]["extensions"]["code"] in ("BAD_REQUEST", "INVALID")
        await subscribe(connection, "{ actor }", name="good")
        assert (await hear(connection))["id"] == "good"


async def test_a_wrong_variable_ends_the_operation_with_an_error(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        query = "subscription ($to: Int!) { count(to: $to) }"
        await subscribe(connection, query, variables={"to": "many"})
        assert (await hear(connection))["type"] == "error"


async def test_a_stream_that_breaks_down_ends_with_a_masked_error(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "subscription { breakDown }")
        assert (await hear(connection))["payload"]["data"] == {"breakDown": 1}
        end = await hear(connection)
    assert end["type"] == "error"
    assert end["payload"][0]["extensions"]["code"] == "INTERNAL"
    assert b"hunter2" not in orjson.dumps(end)


async def test_complete_ends_the_stream_behind_an_operation(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "subscription { wait }", name="a")
        stream = int((await hear(connection))["payload"]["data"]["wait"])
        assert stream in OPEN_STREAMS
        STREAM_CLOSED.clear()
        await say(connection, {"type": "complete", "id": "a"})
        await asyncio.wait_for(STREAM_CLOSED.wait(), 5)
        await say(connection, {"type": "ping"})
        assert await hear(connection) == {"type": "pong"}
    assert stream not in OPEN_STREAMS


async def test_a_socket_that_goes_ends_its_streams(site: Site) -> None:
    connection = await site.socket()
    await greet(connection, site.key)
    await subscribe(connection, "subscription { wait }")
    stream = int((await hear(connection))["payload"]["data"]["wait"])
    STREAM_CLOSED.clear()
    connection.transport.abort()
    await asyncio.wait_for(STREAM_CLOSED.wait(), 5)
    assert stream not in OPEN_STREAMS


async def test_each_operation_has_its_own_context(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        await subscribe(connection, "subscription { wait }", name="long")
        first = (await hear(connection))["payload"]["data"]["wait"]
        await subscribe(connection, "{ contextIdentity }", name="short")
        second = (await hear(connection))["payload"]["data"]["contextIdentity"]
    assert first != second


async def test_operations_over_the_limit_are_refused_one_by_one(first_key: FirstKey) -> None:
    async with (
        serving(
            first_key.database, first_key.project_id, first_key.secret, operations_per_connection=2
        ) as site,
        site.socket() as connection,
    ):
        await greet(connection, site.key)
        for name in ("a", "b"):
            await subscribe(connection, "subscription { wait }", name=name)
            assert (await hear(connection))["type"] == "next"
        await subscribe(connection, "{ actor }", name="c")
        refusal = await hear(connection)
    assert (refusal["id"], refusal["type"]) == ("c", "error")
    assert refusal["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_page_of_another_origin_gets_no_socket(site: Site) -> None:
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{site.port + 1}"):
        with pytest.raises(InvalidStatus) as refused:
            await site.socket(additional_headers={"Origin": origin})
        assert refused.value.response.status_code == 403


async def test_a_revoked_key_starts_nothing_more(site: Site) -> None:
    key_id, secret = await site.new_key()
    async with site.socket() as connection:
        await greet(connection, secret)
        await site.revoke(key_id)
        await subscribe(connection, "{ actor }")
        refusal = await hear(connection)
    assert refusal["type"] == "error"
    assert refusal["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_revoked_key_ends_its_open_sockets_within_seconds(site: Site) -> None:
    key_id, secret = await site.new_key()
    async with site.socket() as connection, site.socket() as other:
        await greet(connection, secret)
        await greet(other, site.key)
        await subscribe(connection, "subscription { wait }")
        await hear(connection)
        await site.revoke(key_id)
        code, reason = await closing(connection)
        await say(other, {"type": "ping"})
        assert await hear(other) == {"type": "pong"}
    assert code == 4403
    assert "revoked" in reason
