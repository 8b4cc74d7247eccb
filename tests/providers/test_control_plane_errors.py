import asyncio
import contextlib
import json
import socket

import pytest

from commandcenter.errors import DomainError
from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.errors import (
    ProviderKeyRefusedError,
    ProviderRateLimitedError,
    ProviderRefusedError,
    ProviderSandboxGoneError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    ProviderUnreachableError,
    TemplateNotFoundError,
)
from commandcenter.providers.sandboxes import Provider, ProviderSandbox
from tests.providers.wire import SANDBOX_ID, Answer, WireServer, answer, created, detail, error, never

CREATE = ("POST", "/v2/sandboxes")
LIST = ("GET", "/v2/sandboxes")
SANDBOX = f"/sandboxes/{SANDBOX_ID}"
KEY = "0192c0de-0000-7000-8000-000000000001"


async def create(provider: Provider) -> ProviderSandbox:
    return await provider.create(
        template="base",
        ttl_seconds=600,
        metadata={"commandcenter": "mark & co"},
        envs={"A": "1"},
        allow_internet=False,
        on_timeout="pause",
        idempotency_key=KEY,
    )


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        (error(401, "bad key"), ProviderKeyRefusedError, "bad key"),
        (error(400, "Timeout cannot be greater than 1 hours"), ProviderRefusedError, "greater than 1 hours"),
        (error(403, "blocked"), ProviderRefusedError, "blocked"),
        (error(404, "template 'base' not found"), TemplateNotFoundError, "template 'base' not found"),
        (error(409, "key was used for another request"), ProviderRefusedError, "another request"),
        (error(500, "broken"), ProviderUnavailableError, "broken"),
        (error(502, "bad gateway"), ProviderUnavailableError, "bad gateway"),
        (error(504, "late"), ProviderUnavailableError, "late"),
        (answer(201, b"not json"), ProviderUnavailableError, "not understood"),
        (answer(201, {"surprise": 1}), ProviderUnavailableError, "not understood"),
        (answer(201), ProviderUnavailableError, "not understood"),
        (answer(500, b"<html>"), ProviderUnavailableError, "HTTP 500 <html>"),
        (answer(404, b"404 page not found"), TemplateNotFoundError, "HTTP 404 404 page not found"),
        (answer(400, b"<html>"), ProviderRefusedError, "HTTP 400 <html>"),
    ],
)
async def test_a_failed_create_is_a_typed_error_with_the_providers_words(
    wire: WireServer, wire_provider: Provider, given: Answer, expected: type[DomainError], words: str
) -> None:
    wire.answers[CREATE] = given
    with pytest.raises(expected, match=words) as raised:
        await create(wire_provider)
    assert type(raised.value) is expected
    assert len(wire.received) == 1, "a request that may have acted is never sent twice"


async def test_a_provider_that_never_answers_is_given_up(wire: WireServer, impatient: Provider) -> None:
    wire.answers[CREATE] = never
    with pytest.raises(ProviderTimeoutError, match="in time"):
        await create(impatient)
    assert len(wire.received) == 1


async def test_a_rate_limit_says_when_to_come_back(wire: WireServer, wire_provider: Provider) -> None:
    wire.answers[CREATE] = error(429, "20 sandboxes are the most", {"retry-after": "7"})
    with pytest.raises(ProviderRateLimitedError, match="in 7 s") as raised:
        await create(wire_provider)
    assert raised.value.retry_after_seconds == 7
    assert len(wire.received) == 1


async def test_a_busy_provider_says_when_to_come_back(wire: WireServer, wire_provider: Provider) -> None:
    wire.answers[CREATE] = error(503, "no capacity", {"retry-after": "2"})
    with pytest.raises(ProviderUnavailableError, match="no capacity") as raised:
        await create(wire_provider)
    assert raised.value.retry_after_seconds == 2


async def test_nobody_at_the_address_is_an_unavailable_provider() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    provider = Provider(ProviderAccount("away", "e2b", "key", url, url), request_seconds=5)
    with pytest.raises(ProviderUnreachableError, match="Provider away is not available"):
        await create(provider)


async def test_a_connection_that_breaks_off_is_an_unavailable_provider() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    provider = Provider(ProviderAccount("rude", "e2b", "key", url, url), request_seconds=5)
    async with server:
        with pytest.raises(ProviderUnavailableError, match="rude"):
            await create(provider)


async def test_a_request_that_arrived_and_was_not_answered_is_not_sent_again() -> None:
    creations = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what reads, and hang up on what creates: the connection that does was in use before."""
        nonlocal creations
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"post"):
                    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                    creations += 1
                    break
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
                )
        writer.transport.abort()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    provider = Provider(ProviderAccount("rude", "e2b", "key", url, url), request_seconds=5)
    async with server:
        assert (await provider.healthy())[0]
        for times in (1, 2):
            with pytest.raises(ProviderUnavailableError) as raised:
                await create(provider)
            assert type(raised.value) is ProviderUnavailableError, "whether it was done is not known"
            assert creations == times


async def test_create_sends_what_was_asked_and_the_keys_that_heal_a_crash(
    wire: WireServer, wire_provider: Provider
) -> None:
    sandbox = await create(wire_provider)
    sent = wire.received[0]
    assert sent.headers["idempotency-key"] == KEY
    body = json.loads(sent.body)
    assert body["templateID"] == "base"
    assert body["timeout"] == 600
    assert body["metadata"] == {"commandcenter": "mark & co"}
    assert body["envVars"] == {"A": "1"}
    assert body["allow_internet_access"] is False
    assert body["autoPause"] is True
    assert body["autoResume"] == {"enabled": False}
    assert (sandbox.id, sandbox.cpu_count, sandbox.memory_mb) == (SANDBOX_ID, 2, 512)
    assert sandbox.attachment.access_token == "token"


async def test_a_created_sandbox_of_unknown_size_is_not_lost(
    wire: WireServer, wire_provider: Provider
) -> None:
    wire.answers["GET", SANDBOX] = error(500, "broken")
    sandbox = await create(wire_provider)
    assert (sandbox.id, sandbox.cpu_count, sandbox.memory_mb) == (SANDBOX_ID, None, None)


async def test_a_sandbox_that_is_gone_is_told_by_every_call_but_kill(
    wire: WireServer, wire_provider: Provider
) -> None:
    wire.reset()
    wire.answers.clear()
    for call in (
        wire_provider.info(SANDBOX_ID),
        wire_provider.pause(SANDBOX_ID),
        wire_provider.resume(SANDBOX_ID, 60),
        wire_provider.set_ttl(SANDBOX_ID, 60),
        wire_provider.metrics(SANDBOX_ID),
    ):
        with pytest.raises(ProviderSandboxGoneError):
            await call
    assert await wire_provider.kill(SANDBOX_ID) is False


async def test_pausing_twice_is_no_error(wire: WireServer, wire_provider: Provider) -> None:
    wire.answers["POST", f"{SANDBOX}/pause"] = error(409, "already paused")
    await wire_provider.pause(SANDBOX_ID)


async def test_a_guest_that_cant_be_resumed_says_why(wire: WireServer, wire_provider: Provider) -> None:
    code = "sandbox_snapshot_guest_agent_unresponsive"
    wire.answers["POST", f"/v2{SANDBOX}/connect"] = answer(
        409, {"code": 409, "message": "guest did not answer", "error_code": code}
    )
    with pytest.raises(ProviderRefusedError, match="guest did not answer"):
        await wire_provider.resume(SANDBOX_ID, 60)


async def test_an_agent_too_old_is_refused_and_its_sandbox_ended(
    wire: WireServer, wire_provider: Provider
) -> None:
    wire.answers[CREATE] = answer(201, {**created(), "envdVersion": "0.0.9"})
    with pytest.raises(ProviderRefusedError, match="template"):
        await create(wire_provider)
    assert ("DELETE", SANDBOX) in [(request.method, request.path) for request in wire.received]


async def test_reads_are_tried_again_when_the_provider_is_busy(
    wire: WireServer, wire_provider: Provider
) -> None:
    wire.answers["GET", SANDBOX] = error(503, "busy", {"retry-after": "0"})
    with pytest.raises(ProviderUnavailableError):
        await wire_provider.info(SANDBOX_ID)
    assert len(wire.received) == 3


async def test_a_list_goes_through_all_pages(wire: WireServer, wire_provider: Provider) -> None:
    pages = [
        answer(200, [detail()], {"x-next-token": "2"}),
        answer(200, [detail("paused")]),
    ]
    wire.answers[LIST] = lambda request: pages.pop(0)(request)
    states = [info.state async for page in wire_provider.list({"mark": "m"}) for info in page]
    assert states == ["running", "paused"]


async def test_a_list_without_an_end_is_an_error_not_a_shorter_list(
    wire: WireServer, wire_provider: Provider
) -> None:
    wire.answers[LIST] = answer(200, [], {"x-next-token": "same"})
    with pytest.raises(ProviderUnavailableError, match="lists more than"):
        async for _ in wire_provider.list({}):
            pass


async def test_a_sandbox_not_measured_yet_has_no_metrics(wire: WireServer, wire_provider: Provider) -> None:
    wire.answers["GET", f"{SANDBOX}/metrics"] = answer(200, [])
    assert await wire_provider.metrics(SANDBOX_ID) is None


async def test_a_cancelled_call_stays_a_cancellation(wire: WireServer, wire_provider: Provider) -> None:
    wire.answers[CREATE] = never
    task = asyncio.create_task(create(wire_provider))
    await wire.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_attaching_asks_nobody(wire: WireServer, wire_provider: Provider) -> None:
    sandbox = await create(wire_provider)
    wire.received.clear()
    wire_provider.attach(sandbox.attachment)
    assert wire.received == []


async def test_a_healthy_provider_says_so(wire: WireServer, wire_provider: Provider) -> None:
    assert (await wire_provider.healthy())[0]
    wire.answers[LIST] = error(401, "bad key")
    healthy, why = await wire_provider.healthy()
    assert not healthy
    assert "Set a valid key" in why
