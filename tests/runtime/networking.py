"""Requests to the outside, made in a sandbox."""

from typing import Any

import httpx
from e2b import AsyncSandbox

from tests.fixtures.runtime import RuntimeProcess

EVERYTHING = "0.0.0.0/0"
DIRECTLY = "env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY"


async def get(sandbox: AsyncSandbox, url: str, options: str = "") -> tuple[int, str]:
    """Status and body of a request from inside; a refused CONNECT counts with its status."""
    command = f"curl -s -m 10 -o body -w '%{{http_code}} %{{http_connect}}' {options} '{url}' || true"
    status, connect = (await sandbox.commands.run(f"rm -f body; {command}")).stdout.split()
    body = (await sandbox.commands.run("cat body 2>/dev/null || true")).stdout
    return int(status) or int(connect), body


async def speak(sandbox: AsyncSandbox, text: bytes) -> str:
    """What the proxy answers to these bytes."""
    program = f"""
import socket
proxy = socket.create_connection(("127.0.0.1", 3128), 5)
proxy.sendall({text!r})
answer = b""
try:
    while part := proxy.recv(65536): answer += part
except OSError: pass
print(answer.decode("latin-1"))
"""
    return (await sandbox.commands.run(f"python3 - <<'END'\n{program}\nEND")).stdout


async def figures(sandbox: AsyncSandbox, runtime: RuntimeProcess) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        answer = await client.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")
    shown: dict[str, Any] = answer.json()["network"]
    return shown
