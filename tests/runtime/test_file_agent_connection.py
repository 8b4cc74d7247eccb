"""The host's end of a file agent, against one that answers as it likes."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from runtime.data_plane.connect_protocol import Call
from runtime.data_plane.entries import entry_of
from runtime.data_plane.file_agent_connection import MAX_REQUESTS, FileAgentConnection, number_in
from runtime.data_plane.file_errors import FileAgentGoneError, FileOperationError
from runtime.data_plane.listing import list_directory
from runtime.inside.framing import MAX_MESSAGE_BYTES, pack, unpack


@dataclass
class Liar:
    """What runs in the sandbox in the agent's place."""

    socket: socket.socket

    async def request(self) -> tuple[list[bytes], int | None]:
        """The next request, and the pipe that came with it."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self.socket.fileno(), ready.cancel)
        try:
            await asyncio.wait([ready], timeout=5)
        finally:
            loop.remove_reader(self.socket.fileno())
        message, descriptors, _, _ = socket.recv_fds(self.socket, MAX_MESSAGE_BYTES, 4)
        return unpack(message), descriptors[0] if descriptors else None

    def say(self, *fields: bytes) -> None:
        self.socket.send(pack(*fields))


@pytest.fixture
async def pair() -> AsyncIterator[tuple[FileAgentConnection, Liar]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    connection = FileAgentConnection(ours)
    yield connection, Liar(theirs)
    connection.close()
    theirs.close()


UNDOING = {"open": b"close", "receive": b"abandon", "watch": b"unwatch"}
Pair = tuple[FileAgentConnection, Liar]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x09short",
        pack(b"1"),
        b"\x00\x00\x00\x00" * 2_000,
        b"x" * (MAX_MESSAGE_BYTES + 1),
    ],
    ids=["end", "stub", "huge length", "beyond the end", "one field", "too many fields", "too long"],
)
async def test_nonsense_ends_the_connection(pair: Pair, message: bytes) -> None:
    connection, liar = pair
    asking = asyncio.create_task(connection.ask("stat", b"/x"))
    await liar.request()
    if message:
        liar.socket.send(message)
    else:
        liar.socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(FileAgentGoneError):
        await asking
    assert connection.closed
    with pytest.raises(FileAgentGoneError):
        await connection.ask("stat", b"/x")


async def test_answers_that_nobody_asked_for_change_nothing(pair: Pair) -> None:
    connection, liar = pair
    asking = asyncio.create_task(connection.ask("stat", b"/x"))
    (number, *_), _ = await liar.request()
    liar.say(b"999", b"ok", b"not asked for")
    liar.say(b"999", b"event", b"create", b"x", b"")
    liar.say(number, b"ok", b"first")
    liar.say(number, b"ok", b"second")
    liar.say(number, b"error", b"not_found", b"third")
    assert await asking == [b"first"]


async def test_an_error_of_no_known_kind_is_internal(pair: Pair) -> None:
    connection, liar = pair
    asking = asyncio.create_task(connection.ask("stat", b"/x"))
    (number, *_), _ = await liar.request()
    liar.say(number, b"error", b"\xff\xfe", b"\xff" * 20_000)
    with pytest.raises(FileOperationError) as refused:
        await asking
    assert (refused.value.status, refused.value.connect_error.code) == (500, "internal")
    assert len(refused.value.message) < 10_000


async def test_an_agent_that_is_silent_is_waited_for_so_long_and_no_longer(pair: Pair) -> None:
    connection, liar = pair
    with pytest.raises(FileOperationError, match=r"did not finish the file operation within 0\.05 s"):
        await connection.ask("stat", b"/x", seconds=0.05)
    (number, *_), _ = await liar.request()
    liar.say(number, b"ok", b"too late")
    asking = asyncio.create_task(connection.ask("stat", b"/y"))
    (number, *_), _ = await liar.request()
    liar.say(number, b"ok", b"in time")
    assert await asking == [b"in time"]


@pytest.mark.parametrize(
    ("operation", "undoing"), [("open", b"close"), ("receive", b"abandon"), ("watch", b"unwatch")]
)
async def test_what_a_late_answer_leaves_open_is_undone(pair: Pair, operation: str, undoing: bytes) -> None:
    connection, liar = pair
    request = connection.send(operation, b"/x")
    (number, *_), _ = await liar.request()
    connection.forget(request)
    liar.say(number, b"ok")
    (_, verb, undone), _ = await liar.request()
    assert (verb, undone) == (undoing, number)


async def test_requests_are_bounded_in_number_and_length(pair: Pair) -> None:
    connection, _ = pair
    with pytest.raises(FileOperationError, match="too long"):
        connection.send("stat", b"x" * MAX_MESSAGE_BYTES)
    requests = []
    with pytest.raises(FileOperationError, match=r"too many file operations|fast enough"):
        requests += [connection.send("stat", b"/x") for _ in range(MAX_REQUESTS + 1)]
    for request in requests:
        connection.forget(request)


@pytest.mark.parametrize("number", [b"", b"-1", b"1e9", b"0x10", b"9" * 40, "٣".encode()])
def test_a_number_that_is_none_is_refused(number: bytes) -> None:
    with pytest.raises(FileOperationError):
        number_in(number)


GOOD = (b"n", b"file", b"/n", b"1", b"420", b"-rw-r--r--", b"user", b"user", b"1", b"", b"")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        GOOD[:5],
        (*GOOD[:3], b"-1", *GOOD[4:]),
        (*GOOD[:3], b"9" * 30, *GOOD[4:]),
        (*GOOD[:4], b"rwx", *GOOD[5:]),
        (*GOOD[:4], b"99999999", *GOOD[5:]),
        (*GOOD[:8], b"soon", *GOOD[9:]),
    ],
)
def test_an_entry_that_is_none_is_refused(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(FileOperationError, match="described no file"):
        entry_of(pack(*fields))


@pytest.mark.parametrize("modified", [b"0", b"-1", b"-99999999999999999999", b"99999999999999999999"])
def test_any_time_is_told_as_some_time(modified: bytes) -> None:
    assert entry_of(pack(*GOOD[:8], modified, *GOOD[9:])).modified_time is not None


def json_call() -> Call:
    """A call that is answered in JSON, without anybody to answer."""
    scope = {"headers": [(b"content-type", b"application/json")]}
    return Call.of(scope, unconnected, unconnected)


async def unconnected(*_: Any) -> Any:
    raise AssertionError("nothing is sent or received here")


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x05abc", pack(b"no entry")])
async def test_a_broken_list_is_refused(pair: Pair, sent: bytes) -> None:
    connection, liar = pair
    listing = asyncio.create_task(list_directory(connection, json_call(), b"/", 1))
    (number, *_), pipe = await liar.request()
    assert pipe is not None
    os.write(pipe, sent)
    os.close(pipe)
    liar.say(number, b"ok", b"1")
    with pytest.raises(FileOperationError):
        await listing
