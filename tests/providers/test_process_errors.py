import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from commandcenter.errors import DomainError
from commandcenter.providers import processes
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    OutputInterruptedError,
    ProcessNotFoundError,
    ProviderRateLimitedError,
    ProviderRefusedError,
    ProviderSandboxGoneError,
    ProviderSandboxPausedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from commandcenter.providers.output import Output, RunningProcess
from commandcenter.providers.sandboxes import Provider
from tests.providers.conftest import WIRED
from tests.providers.wire import (
    SANDBOX_ID,
    Answer,
    WireServer,
    answer,
    break_off,
    detail,
    error,
    finished,
    frame,
    never,
    started,
    stream,
)

START = ("POST", "/process.Process/Start")
GONE = answer(502, {"sandboxId": SANDBOX_ID, "message": "The sandbox was not found", "code": 502})
HELLO = frame({"event": {"data": {"stdout": "aGVsbG8="}}})
END = frame({"event": {"end": {"exitCode": 0, "exited": True, "status": "exit status 0"}}})


async def start(attachment: Attachment) -> RunningProcess:
    return await processes.start(attachment, command="true")


def refused(code: str, message: str) -> Answer:
    return stream(finished({"code": code, "message": message}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (refused("invalid_argument", "cwd '/x' does not exist"), ProviderRefusedError),
        (refused("unauthenticated", "invalid username: 'x'"), ProviderRefusedError),
        (refused("permission_denied", "no"), ProviderRefusedError),
        (refused("unimplemented", "no"), ProviderRefusedError),
        (refused("failed_precondition", "no"), ProviderRefusedError),
        (refused("resource_exhausted", "too many"), ProviderRateLimitedError),
        (refused("not_found", "no such process"), ProcessNotFoundError),
        (refused("internal", "fork failed"), ProviderUnavailableError),
        (refused("canceled", "went away"), ProviderUnavailableError),
        (refused("deadline_exceeded", "late"), ProviderTimeoutError),
        (error(401, "wrong token"), ProviderRefusedError),
        (error(429, "slow down"), ProviderRateLimitedError),
        (error(503, "draining"), ProviderUnavailableError),
        (error(502, "The sandbox is running but port is not open"), ProviderUnavailableError),
        (answer(502, b"<html>bad gateway</html>"), ProviderUnavailableError),
        (stream(frame("no message")), ProviderUnavailableError),
        (stream(END, finished()), ProviderUnavailableError),
        (stream(finished()), ProviderUnavailableError),
        (stream(then=break_off), ProviderUnavailableError),
        (answer(200, b"text"), ProviderUnavailableError),
    ],
)
async def test_a_process_that_cant_be_started_is_a_typed_error(
    wire: WireServer, wired: Attachment, given: Answer, expected: type[DomainError]
) -> None:
    wire.answers[START] = given
    with pytest.raises(expected) as raised:
        await start(wired)
    assert type(raised.value) is expected
    starts = [request for request in wire.received if request.path == START[1]]
    assert len(starts) == 1, "a start that may have acted is never sent twice"


async def test_a_start_that_is_never_confirmed_is_given_up(wire: WireServer, impatient: Provider) -> None:
    wire.answers[START] = never
    with pytest.raises(ProviderTimeoutError):
        await start(impatient.attach(WIRED))


async def test_a_start_in_a_sandbox_that_is_gone_says_so(wire: WireServer, wired: Attachment) -> None:
    wire.answers[START] = GONE
    wire.answers["GET", f"/sandboxes/{SANDBOX_ID}"] = error(404, "not found")
    with pytest.raises(ProviderSandboxGoneError):
        await start(wired)


async def test_a_start_in_a_paused_sandbox_says_so(wire: WireServer, wired: Attachment) -> None:
    wire.answers[START] = GONE
    wire.answers["GET", f"/sandboxes/{SANDBOX_ID}"] = answer(200, detail("paused"))
    with pytest.raises(ProviderSandboxPausedError, match="resume it first"):
        await start(wired)


@pytest.mark.parametrize(
    "rest",
    [
        stream(started(), HELLO, then=break_off),
        stream(started(), HELLO, finished()),
        stream(started(), HELLO),
        stream(started(), HELLO, finished({"code": "unavailable", "message": "lost the sandbox"})),
        stream(started(), HELLO, finished({"code": "deadline_exceeded", "message": "late"})),
        stream(started(), HELLO, frame({"event": {"data": {"stdout": "%%%"}}})),
    ],
)
async def test_output_that_breaks_off_never_ends_in_an_invented_ending(
    wire: WireServer, wired: Attachment, rest: Answer
) -> None:
    wire.answers[START] = rest
    process = await start(wired)
    assert process.pid == 7
    assert await anext(process) == Output("stdout", b"hello")
    with pytest.raises(OutputInterruptedError) as raised:
        await anext(process)
    assert isinstance(raised.value.reason, ProviderUnavailableError)


async def test_output_that_breaks_off_because_the_sandbox_died_says_so(
    wire: WireServer, wired: Attachment
) -> None:
    async def die() -> None:
        wire.answers["GET", "/health"] = GONE
        wire.answers["GET", f"/sandboxes/{SANDBOX_ID}"] = error(404, "not found")
        await break_off()

    wire.answers[START] = stream(started(), then=die)
    process = await start(wired)
    with pytest.raises(OutputInterruptedError, match="not found") as raised:
        await anext(process)
    assert isinstance(raised.value.reason, ProviderSandboxGoneError)


async def test_a_process_ended_at_its_deadline_timed_out(wire: WireServer, wired: Attachment) -> None:
    wire.answers[START] = stream(
        started(), finished({"code": "deadline_exceeded", "message": "its time is up"})
    )
    process = await processes.start(wired, command="sleep 9", timeout_seconds=0.2)
    assert [event async for event in process] == [Ended(None, error="its time is up", timed_out=True)]
    assert wire.received[0].headers["connect-timeout-ms"] == "200"


async def test_signs_of_life_and_empty_output_are_no_output(wire: WireServer, wired: Attachment) -> None:
    keepalive = frame({"event": {"keepalive": {}}})
    unknown = frame({"event": {"news": {}}, "extra": 1})
    nothing = frame({"event": {"data": {"stdout": ""}}})
    wire.answers[START] = stream(started(), keepalive, unknown, nothing, END, finished())
    assert [event async for event in await start(wired)] == [Ended(0)]


async def test_a_stream_without_a_sign_of_life_counts_as_broken(
    wire: WireServer, impatient: Provider
) -> None:
    silence = asyncio.Event()
    wire.answers[START] = stream(started(), then=silence.wait)
    process = await start(impatient.attach(WIRED))
    with pytest.raises(OutputInterruptedError, match=r"no sign of life for 0\.2 s"):
        await anext(process)
    silence.set()


async def test_cancelling_a_reader_stays_a_cancellation(wire: WireServer, wired: Attachment) -> None:
    released = asyncio.Event()
    wire.answers[START] = stream(started(), then=released.wait)
    process = await start(wired)
    reader = asyncio.ensure_future(anext(process))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    released.set()


async def test_cancelling_a_start_stays_a_cancellation(wire: WireServer, wired: Attachment) -> None:
    wire.answers[START] = never
    starting = asyncio.create_task(start(wired))
    await wire.arrived.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_a_reader_that_stands_still_lets_the_sender_wait(wire: WireServer, wired: Attachment) -> None:
    megabyte = frame({"event": {"data": {"stdout": "A" * (1 << 20)}}})
    sent = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        yield started()
        for _ in range(64):
            yield megabyte
            sent += 1

    async def give(request: Request) -> Response:
        return StreamingResponse(flood(), media_type="application/connect+json")

    wire.answers[START] = give
    process = await start(wired)
    await anext(process)
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.1)
    assert sent < 32, "what is in flight is bounded by the sockets' buffers"
    await process.aclose()


async def test_user_and_sandbox_are_named_in_the_headers(wire: WireServer, wired: Attachment) -> None:
    wire.answers[START] = stream(started(), END, finished())
    await (await processes.start(wired, command="id", user="root")).aclose()
    headers = wire.received[0].headers
    assert headers["authorization"] == "Basic cm9vdDo="
    assert headers["e2b-sandbox-id"] == SANDBOX_ID
    assert headers["x-access-token"] == "token"
    assert "connect-timeout-ms" not in headers
