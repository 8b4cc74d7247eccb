"""Servers inside a sandbox, reached from outside: HTTP, streams and WebSockets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from e2b import E2B, AsyncSandbox, SandboxState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.fixtures.runtime import RuntimeProcess

SERVER = Path(__file__).with_name("preview_server.py")
PORT = 8000


@dataclass
class Preview:
    """A sandbox with the preview server in it."""

    sandbox: AsyncSandbox
    runtime: RuntimeProcess
    port: int = PORT

    @property
    def headers(self) -> dict[str, str]:
        return {"E2b-Sandbox-Id": self.sandbox.sandbox_id, "E2b-Sandbox-Port": str(self.port)}

    @property
    def host(self) -> str:
        return f"{self.port}-{self.sandbox.sandbox_id}.localhost"

    def socket(self, headers: dict[str, str] | None = None) -> connect:
        return connect(
            f"ws://{self.runtime.url.removeprefix('http://')}/socket",
            additional_headers=self.headers if headers is None else headers,
            subprotocols=[Subprotocol("echo")],
            max_size=None,
        )


async def start_server(
    sandbox: AsyncSandbox, runtime: RuntimeProcess, port: int = PORT, extra: str = ""
) -> Preview:
    ready = asyncio.Event()
    await sandbox.files.write("/home/user/server.py", SERVER.read_text())
    await sandbox.commands.run(
        f"exec python3 server.py {port} {extra}",
        background=True,
        timeout=0,
        cwd="/home/user",
        on_stdout=lambda text: ready.set() if "listening" in text else None,
    )
    async with asyncio.timeout(10):
        await ready.wait()
    return Preview(sandbox, runtime, port)


@pytest.fixture(scope="module")
async def preview(box: AsyncSandbox, runtime: RuntimeProcess) -> Preview:
    return await start_server(box, runtime)


@pytest.fixture
async def socket(preview: Preview) -> AsyncIterator[ClientConnection]:
    async with preview.socket() as socket:
        yield socket


async def test_a_websocket_carries_messages_both_ways(socket: ClientConnection) -> None:
    assert socket.subprotocol == "echo"
    await socket.send("hello")
    assert await socket.recv() == "hello"
    large = bytes(range(256)) * (1 << 14)
    await socket.send(large)
    assert await socket.recv() == large


async def test_a_websocket_is_found_by_the_host_name_too(preview: Preview) -> None:
    async with connect(
        f"ws://{preview.host}:{preview.runtime.url.rpartition(':')[2]}/socket",
        host="127.0.0.1",
        subprotocols=[Subprotocol("echo")],
    ) as socket:
        await socket.send("by name")
        assert await socket.recv() == "by name"


async def test_a_websocket_that_the_server_refuses_gets_its_answer(preview: Preview) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://{preview.runtime.url.removeprefix('http://')}/socket", additional_headers=preview.headers
        ):
            pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["connection"] == "close"


async def test_a_websocket_to_a_closed_port_says_so(preview: Preview) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with preview.socket(preview.headers | {"E2b-Sandbox-Port": "8001"}):
            pass
    assert refused.value.response.status_code == 502
    assert b"The sandbox is running but port is not open" in (refused.value.response.body or b"")


async def test_a_websocket_ends_with_its_sandbox(e2b: E2B, runtime: RuntimeProcess) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    preview = await start_server(sandbox, runtime)
    async with preview.socket() as socket:
        await sandbox.kill()
        async with asyncio.timeout(5):
            await socket.wait_closed()


async def test_events_arrive_while_the_answer_goes_on(preview: Preview, http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "/events", headers=preview.headers) as answer:
        lines = answer.aiter_lines()
        async with asyncio.timeout(5):
            assert [line async for line in _first(lines, 3)] == ["data: 0", "", "data: 1"]


async def test_the_server_learns_that_nobody_listens_any_more(
    e2b: E2B, runtime: RuntimeProcess, http: httpx.AsyncClient
) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    ended = asyncio.Event()
    preview = await start_server(sandbox, runtime)
    (server, *_) = await sandbox.commands.list()
    await sandbox.commands.connect(
        server.pid, timeout=0, on_stdout=lambda text: ended.set() if "ended" in text else None
    )
    async with http.stream("GET", "/events", headers=preview.headers) as answer:
        await anext(answer.aiter_lines())
    async with asyncio.timeout(5):
        await ended.wait()
    await sandbox.kill()


async def test_large_bodies_pass_both_ways(preview: Preview, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * (1 << 16)
    answer = await http.post("/count", content=body, headers=preview.headers)
    assert answer.text == hashlib.sha256(body).hexdigest()
    received = 0
    async with http.stream("GET", "/large", headers=preview.headers) as large:
        async for part in large.aiter_bytes():
            received += len(part)
    assert received == 64 << 20


async def test_a_server_that_breaks_off_is_an_answer_too(preview: Preview, http: httpx.AsyncClient) -> None:
    answer = await http.get("/silent", headers=preview.headers)
    assert (answer.status_code, answer.json()["port"]) == (502, PORT)
    assert "broke off" in answer.json()["message"]


async def test_ports_of_a_private_sandbox_ask_for_its_token(
    e2b: E2B, runtime: RuntimeProcess, http: httpx.AsyncClient
) -> None:
    sandbox = await e2b.AsyncSandbox.create(
        timeout=60, network={"allow_public_traffic": False, "mask_request_host": "${PORT}-app.example.com"}
    )
    preview = await start_server(sandbox, runtime)
    assert sandbox.traffic_access_token
    right = preview.headers | {"e2b-traffic-access-token": sandbox.traffic_access_token}
    assert (await http.get("/", headers=preview.headers)).status_code == 403
    assert (await http.get("/", headers=right | {"e2b-traffic-access-token": "x"})).status_code == 403
    with pytest.raises(InvalidStatus, match="403"):
        async with preview.socket():
            pass
    seen = (await http.get("/", headers=right)).text.lower()
    assert f"host: {PORT}-app.example.com" in seen
    # The server inside has no business with the token of its own door.
    assert sandbox.traffic_access_token not in seen
    async with preview.socket(right) as socket:
        await socket.send("let in")
        assert await socket.recv() == "let in"
    await sandbox.kill()


async def test_a_port_that_speaks_tls_is_reached_by_tls(
    e2b: E2B, runtime: RuntimeProcess, http: httpx.AsyncClient
) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60, network={"https_ports": [8443, 8444]})
    await sandbox.commands.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 2 -subj /CN=any && cat k c > pem",
        cwd="/home/user",
    )
    preview = await start_server(sandbox, runtime, 8443, "pem")
    assert (await http.get("/", headers=preview.headers)).status_code == 200
    async with preview.socket() as socket:
        await socket.send("sealed")
        assert await socket.recv() == "sealed"
    await sandbox.kill()


async def test_a_websocket_wakes_a_paused_sandbox(e2b: E2B, runtime: RuntimeProcess) -> None:
    sandbox = await e2b.AsyncSandbox.create(
        timeout=60, lifecycle={"on_timeout": "pause", "auto_resume": True}
    )
    preview = await start_server(sandbox, runtime)
    await sandbox.pause()
    async with preview.socket() as socket:
        await socket.send("awake")
        assert await socket.recv() == "awake"
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(lines)
