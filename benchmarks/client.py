"""A client of the product's public API, as a program of its users would be one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.stack import Stack

_REQUEST_SECONDS = 60
_SUBPROTOCOL = "graphql-transport-ws"
# The last message of an operation is short; only such ones are looked into while frames are counted.
_LONGEST_LAST_FRAME = 200

CREATE = """
    mutation($name: String) {
        createSandbox(input: {name: $name}) { sandbox { id } userErrors { message } }
    }
"""
TERMINATE = (
    "mutation($sandbox: ID!) { terminateSandbox(input: {sandboxId: $sandbox}) { userErrors { message } } }"
)
EXECUTE = """
    mutation($sandbox: ID!, $command: String!, $wait: Boolean!, $stdin: Boolean!) {
        executeCommand(input: {sandboxId: $sandbox, command: $command, wait: $wait, stdin: $stdin}) {
            execution { id status exitCode stdout }
            userErrors { message }
        }
    }
"""
SEND_INPUT = """
    mutation($execution: ID!, $text: String!) {
        sendInput(input: {executionId: $execution, text: $text, close: true}) { userErrors { message } }
    }
"""
FOLLOW = "subscription($execution: ID!) { executionLogs(executionId: $execution) { chunks { text } ended } }"


class RequestFailedError(Exception):
    """The product refused or failed a request of a measurement."""


class Client:
    """The API, by one key, over HTTP and WebSocket."""

    def __init__(self, stack: Stack) -> None:
        self._http = httpx.AsyncClient(
            base_url=stack.address,
            headers={"Authorization": f"Bearer {stack.key}"},
            timeout=_REQUEST_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_connections=100),
        )
        self._stack = stack

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(self, document: str, **variables: object) -> Any:
        """The data of a query or mutation; `RequestFailedError` on any error, the caller's too."""
        response = await self._http.post("/graphql", json={"query": document, "variables": variables})
        answer = orjson.loads(response.content)
        if answer.get("errors"):
            raise RequestFailedError(str(answer["errors"]))
        for payload in answer["data"].values():
            if isinstance(payload, dict) and payload.get("userErrors"):
                raise RequestFailedError(str(payload["userErrors"]))
        return answer["data"]

    async def create_sandbox(self, name: str) -> str:
        """A new sandbox's id."""
        created = await self.request(CREATE, name=name)
        return str(created["createSandbox"]["sandbox"]["id"])

    async def terminate_sandbox(self, sandbox: str) -> None:
        """End a sandbox."""
        await self.request(TERMINATE, sandbox=sandbox)

    async def execute(
        self, sandbox: str, command: str, *, wait: bool = True, stdin: bool = False
    ) -> dict[str, Any]:
        """A command's execution: ended, or with `wait` off just started."""
        started = await self.request(EXECUTE, sandbox=sandbox, command=command, wait=wait, stdin=stdin)
        execution: dict[str, Any] = started["executeCommand"]["execution"]
        return execution

    async def send_input(self, execution: str, text: str) -> None:
        """Write to a command's input, and close it."""
        await self.request(SEND_INPUT, execution=execution, text=text)

    @asynccontextmanager
    async def subscribed(self, document: str, **variables: object) -> AsyncIterator[ClientConnection]:
        """A socket on which one subscription runs; its messages are for the caller to read."""
        address = self._stack.address.replace("http", "ws", 1) + "/graphql"
        async with opened(address, _SUBPROTOCOL) as socket:
            authorization = {"Authorization": f"Bearer {self._stack.key}"}
            await socket.send(orjson.dumps({"type": "connection_init", "payload": authorization}).decode())
            await socket.recv()
            payload = {"query": document, "variables": variables}
            await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
            yield socket


@asynccontextmanager
async def opened(address: str, *subprotocols: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket to a server on this machine."""
    async with connect(
        address, subprotocols=subprotocols or None, max_size=None, compression=None, proxy=None
    ) as socket:
        yield socket


async def frames_until_complete(socket: ClientConnection) -> AsyncIterator[bytes]:
    """The messages of the one operation on a socket, the last, `complete`, included."""
    while True:
        frame = await socket.recv(decode=False)
        yield frame
        if len(frame) < _LONGEST_LAST_FRAME and orjson.loads(frame)["type"] != "next":
            return


async def count_lines(socket: ClientConnection) -> int:
    """Read to the end of the operation; how many lines its JSON held."""
    lines = 0
    async for frame in frames_until_complete(socket):
        lines += frame.count(rb"\n")
        # One that never waits would keep the other subscribers of this process from reading.
        await asyncio.sleep(0)
    return lines
