"""The door: TLS and names, and clients that are slow, loud or lost. Others never feel them."""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from e2b import E2B
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from runtime.door.listening import certificate_of, listen
from runtime.host.errors import MachineUnfitError
from runtime.settings import RuntimeSettings
from tests.fixtures.certificates import Authority, names_lead_to
from tests.fixtures.runtime import REPOSITORY, RuntimeProcess, runtime_folder

DOMAIN = "sandboxes.test"
PREVIEW_SERVER = Path(__file__).with_name("preview_server.py")


@pytest.fixture(scope="module")
async def secured(authority: Authority) -> AsyncIterator[RuntimeProcess]:
    """A runtime with names of its own and TLS, whose clients must be quick."""
    certificate, key = authority.certificate(DOMAIN, f"*.{DOMAIN}", "localhost")
    with runtime_folder() as state:
        process = RuntimeProcess(
            state,
            domain=DOMAIN,
            tls_certificate=str(certificate),
            tls_key=str(key),
            request_timeout="1",
        )
        await process.start()
        yield process
        await process.stop()


def port_of(runtime: RuntimeProcess) -> int:
    port = urlsplit(runtime.url).port
    assert port is not None
    return port


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


async def dial(
    runtime: RuntimeProcess, authority: Authority
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("localhost", port_of(runtime), ssl=trusting(authority))


async def answer_to(runtime: RuntimeProcess, authority: Authority, request: bytes) -> tuple[int, str]:
    """The status and message of what comes back before the connection is closed."""
    reader, writer = await dial(runtime, authority)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["message"]


async def test_the_sdk_needs_a_domain_and_a_key_alone(
    secured: RuntimeProcess, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with names_lead_to(port_of(secured)) as proxy:
        client = E2B(api_key=secured.api_key, domain=DOMAIN, proxy=proxy)
        sandbox = await client.AsyncSandbox.create(timeout=60)
        assert sandbox.sandbox_domain == DOMAIN
        assert (await sandbox.commands.run("echo through TLS")).stdout == "through TLS\n"
        await sandbox.files.write("file", "by name")
        assert await sandbox.files.read("file") == "by name"
        link = httpx.URL(sandbox.download_url("file"))
        assert link.host == f"49983-{sandbox.sandbox_id}.{DOMAIN}"
        async with httpx.AsyncClient(verify=trusting(authority), proxy=proxy) as anyone:
            assert (await anyone.get(link)).text == "by name"
            await sandbox.commands.run("python3 -m http.server 8000", background=True, timeout=0)
            page = httpx.URL(f"https://{sandbox.get_host(8000)}/")
            async with asyncio.timeout(10):
                while (await anyone.get(page)).status_code == 502:
                    await asyncio.sleep(0.05)
            assert "Directory listing" in (await anyone.get(page)).text
        assert await asyncio.to_thread(client.Sandbox.kill, sandbox.sandbox_id)


async def test_a_websocket_passes_through_tls(secured: RuntimeProcess, authority: Authority) -> None:
    headers = {"X-API-Key": secured.api_key}
    async with httpx.AsyncClient(verify=trusting(authority), headers=headers) as control:
        url = f"https://localhost:{port_of(secured)}"
        made = (await control.post(f"{url}/v2/sandboxes", json={"templateID": "base"})).json()
        inside = {"E2b-Sandbox-Id": made["sandboxID"], "X-Access-Token": made["envdAccessToken"]}
        server = {"file": PREVIEW_SERVER.read_bytes()}
        await control.post(f"{url}/files?path=server.py", files=server, headers=inside)
        start = {"process": {"cmd": "python3", "args": ["server.py", "8000"]}}
        envelope = json.dumps(start).encode()
        async with control.stream(
            "POST",
            f"{url}/process.Process/Start",
            content=b"\0" + len(envelope).to_bytes(4, "big") + envelope,
            headers={**inside, "Content-Type": "application/connect+json"},
        ) as output:
            async with asyncio.timeout(10):
                async for part in output.aiter_bytes():
                    if base64.b64encode(b"listening")[:8] in part:
                        break
            port = {"E2b-Sandbox-Id": made["sandboxID"], "E2b-Sandbox-Port": "8000"}
            address = f"wss://localhost:{port_of(secured)}/socket"
            async with connect(
                address,
                ssl=trusting(authority),
                additional_headers=port,
                subprotocols=[Subprotocol("echo")],
            ) as socket:
                await socket.send("hello")
                assert await socket.recv() == "hello"
        await control.delete(f"{url}/sandboxes/{made['sandboxID']}")


async def test_whom_nobody_trusts_is_not_spoken_to(secured: RuntimeProcess) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        async with httpx.AsyncClient() as stranger:
            await stranger.get(f"https://localhost:{port_of(secured)}/health")


async def test_a_renewed_certificate_is_shown_without_a_restart(authority: Authority) -> None:
    certificate, key = authority.certificate("old.test", "localhost")
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, tls_certificate=str(certificate), tls_key=str(key))
        await runtime.start()
        new_certificate, new_key = authority.certificate("new.test", "localhost")
        certificate.write_bytes(new_certificate.read_bytes())
        key.write_bytes(new_key.read_bytes())
        runtime.hang_up()
        async with asyncio.timeout(10):
            while "new.test" not in await names_shown_by(runtime, authority):
                await asyncio.sleep(0.02)
        await runtime.stop()


async def names_shown_by(runtime: RuntimeProcess, authority: Authority) -> set[str]:
    _, writer = await dial(runtime, authority)
    shown = writer.get_extra_info("peercert")["subjectAltName"]
    writer.close()
    return {name for _, name in shown}


async def test_headers_that_never_come_are_not_waited_for(
    secured: RuntimeProcess, authority: Authority
) -> None:
    message = "a request's headers must arrive within 1 s"
    slow = [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nX: "]
    answers = await asyncio.gather(*(answer_to(secured, authority, each) for each in slow))
    assert answers == [(408, message)] * 3


async def test_a_second_request_of_a_connection_is_not_waited_for_either(
    secured: RuntimeProcess, authority: Authority
) -> None:
    reader, writer = await dial(secured, authority)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\n")
    async with asyncio.timeout(10):
        answers = await reader.read()
    writer.close()
    assert answers.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 408 Request Timeout" in answers


async def test_a_body_that_trickles_is_not_waited_for(secured: RuntimeProcess, authority: Authority) -> None:
    head = f"POST /v2/sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: {secured.api_key}\r\n"
    request = head + 'Content-Length: 100\r\n\r\n{"templateID":'
    assert await answer_to(secured, authority, request.encode()) == (
        408,
        "The body did not arrive within 1 s.",
    )


async def test_slow_clients_hold_nobody_up(secured: RuntimeProcess, authority: Authority) -> None:
    slow = [await dial(secured, authority) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"POST /v2/sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
    async with httpx.AsyncClient(verify=trusting(authority)) as quick, asyncio.timeout(2):
        assert (await quick.get(f"https://localhost:{port_of(secured)}/health")).status_code == 200
    for _, writer in slow:
        writer.close()


async def test_headers_without_end_are_refused(secured: RuntimeProcess, authority: Authority) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"x" * 400_000
    assert await answer_to(secured, authority, request) == (
        431,
        "a request's headers have at most 65536 bytes",
    )


async def test_what_is_no_http_is_said_so(secured: RuntimeProcess, authority: Authority) -> None:
    assert await answer_to(secured, authority, b"hello?\r\n\r\n") == (400, "Invalid HTTP request received.")


async def test_a_body_that_is_too_large_is_refused(runtime: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as control:
        response = await control.post("/v2/sandboxes", content=b"[" * 3_000_000)
    assert response.status_code == 413
    assert response.json() == {"code": 413, "message": "The body is larger than 1048576 bytes."}


async def test_every_request_has_a_name(runtime: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        assert (await client.get("/health", headers={"X-Request-Id": "mine-1"})).headers[
            "x-request-id"
        ] == "mine-1"
        made = {(await client.get("/v2/sandboxes")).headers["x-request-id"] for _ in range(2)}
        assert len(made) == 2
        odd = await client.get("/health", headers={"X-Request-Id": 'a "b"'})
        assert odd.headers["x-request-id"] != 'a "b"'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "::"}, "RUNTIME_INSECURE_PLAIN_HTTP=true"),
        ({"tls_certificate": "/nowhere"}, "are needed both, or neither"),
        ({"tls_certificate": "/nowhere", "tls_key": "/nowhere"}, "can't be used"),
    ],
)
def test_a_door_that_would_not_be_safe_is_said_with_how_to_mend_it(
    given: dict[str, str], message: str
) -> None:
    settings = RuntimeSettings.model_validate(given)
    with pytest.raises(MachineUnfitError, match=message):
        listen(settings, encrypted=certificate_of(settings) is not None)


async def test_a_door_that_would_not_be_safe_is_not_opened() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, host="0.0.0.0")
        runtime.launch()
        assert await runtime.wait() == 1
        assert "keys and files would cross the network in the clear" in runtime.log.read_text()


async def test_plain_http_beyond_loopback_and_few_connections_are_had_by_asking() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, host="0.0.0.0", insecure_plain_http="true", connection_limit="2")
        await runtime.start()
        assert runtime.url.startswith("http://127.0.0.1:")
        await connections_beyond_the_bound_are_refused(runtime)
        await runtime.stop()


async def connections_beyond_the_bound_are_refused(runtime: RuntimeProcess) -> None:
    kept = [await asyncio.open_connection("127.0.0.1", port_of(runtime)) for _ in range(2)]
    async with httpx.AsyncClient(base_url=runtime.url) as client:
        assert (await client.get("/health")).status_code == 503
        for _, writer in kept:
            writer.close()
        async with asyncio.timeout(10):
            while (await client.get("/health")).status_code != 200:
                await asyncio.sleep(0.02)


async def test_programs_ask_how_to_reach_the_runtime(runtime: RuntimeProcess) -> None:
    environment = {"RUNTIME_STATE_DIRECTORY": str(runtime.state), "RUNTIME_API_KEY": runtime.api_key}
    printed = await asyncio.to_thread(runtime_command, "env", **environment)
    assert printed == (
        f"export E2B_API_KEY={runtime.api_key}\n"
        f"export E2B_API_URL={runtime.url}\nexport E2B_SANDBOX_URL={runtime.url}\n"
        f"export E2B_VOLUME_API_URL={runtime.url}\n"
    )
    named = await asyncio.to_thread(
        runtime_command, "env", RUNTIME_DOMAIN=DOMAIN, RUNTIME_TLS_CERTIFICATE="/c", **environment
    )
    assert named == f"export E2B_API_KEY={runtime.api_key}\nexport E2B_DOMAIN={DOMAIN}\n"


def runtime_command(*arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
