"""Clients that don't read: they cost little, and not for long."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from tests.web.conftest import FirstKey
from tests.web.serving import Site, greet, serving
from tests.web.small_schema import PRODUCED, STREAM_CLOSED
from web.stall_limit import StallLimitedHTTP, StallLimitedWebSocket

BATCH_BYTES = 65_536
# What the kernel holds for a loopback connection can be some megabytes; our own share is far less.
MOST_HELD_BYTES = 32 * 1024 * 1024
FLOOD = f"subscription {{ logs(batches: 100000, bytesEach: {BATCH_BYTES}) {{ text }} }}"


class ImpatientHTTP(StallLimitedHTTP):
    stall_seconds = 0.3


class ImpatientWebSocket(StallLimitedWebSocket):
    stall_seconds = 0.3


@pytest.fixture(scope="module")
async def impatient(first_key: FirstKey) -> AsyncIterator[Site]:
    options = {"http": ImpatientHTTP, "ws": ImpatientWebSocket}
    async with serving(
        first_key.database, first_key.project_id, first_key.secret, server_options=options
    ) as running:
        yield running


async def test_a_socket_that_nobody_reads_is_closed_with_1008_and_has_cost_little(impatient: Site) -> None:
    async with impatient.socket() as connection:
        await greet(connection, impatient.key)
        STREAM_CLOSED.clear()
        subscribe = {"type": "subscribe", "id": "1", "payload": {"query": FLOOD}}
        await connection.send(orjson.dumps(subscribe).decode())
        await asyncio.wait_for(STREAM_CLOSED.wait(), 10)
        assert PRODUCED["batches"] * BATCH_BYTES < MOST_HELD_BYTES
        with suppress(ConnectionClosed):
            async for _ in connection:
                pass
    assert connection.close_code == 1008
    assert "Nothing was read" in (connection.close_reason or "")


async def test_a_client_that_reads_again_in_time_loses_nothing(impatient: Site) -> None:
    query = "subscription { logs(batches: 300, bytesEach: 65536) { cursor text } }"
    async with impatient.socket() as connection:
        await greet(connection, impatient.key)
        subscribe = {"type": "subscribe", "id": "1", "payload": {"query": query}}
        await connection.send(orjson.dumps(subscribe).decode())
        cursors = []
        while (message := orjson.loads(await connection.recv()))["type"] == "next":
            cursors.append(message["payload"]["data"]["logs"]["cursor"])
            if len(cursors) in (50, 150):
                await asyncio.sleep(0.1)
    assert cursors == [str(number) for number in range(300)]


async def test_a_stream_that_nobody_reads_is_cut_and_has_cost_little(impatient: Site) -> None:
    body = orjson.dumps({"query": FLOOD})
    head = (
        "POST /graphql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nAuthorization: Bearer {impatient.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    STREAM_CLOSED.clear()
    with socket.create_connection(("127.0.0.1", impatient.port)) as connection:
        connection.sendall(head.encode() + body)
        await asyncio.wait_for(STREAM_CLOSED.wait(), 10)
        assert PRODUCED["batches"] * BATCH_BYTES < MOST_HELD_BYTES


async def test_a_client_that_pings_and_never_reads_is_read_no_more(site: Site) -> None:
    ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
    async with site.socket() as connection:
        await greet(connection, site.key)
        STREAM_CLOSED.clear()
        subscribe = {"type": "subscribe", "id": "1", "payload": {"query": FLOOD}}
        await connection.send(orjson.dumps(subscribe).decode())
        sent = 0
        while connection.transport.get_write_buffer_size() < 4 * BATCH_BYTES:
            connection.transport.write(ping * 1_000)
            sent += 1_000 * len(ping)
            assert sent < MOST_HELD_BYTES
            await asyncio.sleep(0.01)
        connection.transport.abort()
        await asyncio.wait_for(STREAM_CLOSED.wait(), 10)
