"""A server that sends the same output again and again and does nothing else: the SDK alone is the limit."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from e2b import E2B

from benchmarks.stack import running
from processes.child import ChildPlan
from processes.ports import require_free
from processes.readiness import answers

_HOST = "127.0.0.1"
_FRAME_BYTES = 500_000
_CREATED = {
    "sandboxID": "canned",
    "templateID": "base",
    "clientID": "canned",
    "envdVersion": "0.6.9",
    "envdAccessToken": "token",
}
_EXIT = b'{"event":{"end":{"exitCode":0,"exited":true,"status":"exit status 0"}}}'


@asynccontextmanager
async def running_canned_server(output: int) -> AsyncIterator[E2B]:
    """The server in a process of its own: any command there writes `output` bytes; the SDK bound to it."""
    port = require_free(_HOST, 0)
    plan = ChildPlan(
        name="canned output",
        command=(sys.executable, "-m", "benchmarks.runtime.canned", str(port), str(output)),
        environment={"PYTHONPATH": ":".join(sys.path)},
        ready=answers(f"http://{_HOST}:{port}/health"),
    )
    async with running(plan):
        address = f"http://{_HOST}:{port}"
        yield E2B(api_key="canned", api_url=address, sandbox_url=address)


async def serve(port: int, output: int) -> None:
    """Answer every request for a command by its output, and every other by a sandbox."""
    frame = _chunk(_envelope(b'{"event":{"data":{"stdout":"%b"}}}' % b64encode(b"a" * _FRAME_BYTES)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _read_request(reader):
            if b"/process.process/start" in head:
                writer.write(_stream_head())
                for _ in range(output // _FRAME_BYTES):
                    writer.write(frame)
                    await writer.drain()
                writer.write(_chunk(_envelope(_EXIT)) + _chunk(_envelope(b"{}", 2)) + b"0\r\n\r\n")
            else:
                body = json.dumps(_CREATED).encode()
                writer.write(_answer_head(head, len(body)) + body)
        writer.close()

    server = await asyncio.start_server(answer, _HOST, port)
    await server.serve_forever()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a request; gives its head, empty at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")
        elif b"content-length:" in head:
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
    except asyncio.IncompleteReadError:
        return b""
    return head


def _answer_head(request: bytes, length: int) -> bytes:
    status = b"201 Created" if request.startswith(b"post") else b"200 OK"
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, length)


def _stream_head() -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/connect+json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + _chunk(_envelope(b'{"event":{"start":{"pid":1}}}'))


def _envelope(message: bytes, flags: int = 0) -> bytes:
    return bytes((flags,)) + len(message).to_bytes(4, "big") + message


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
