"""A small server to be run inside a sandbox: what browsers ask a development server for."""

import asyncio
import base64
import hashlib
import ssl
import sys

CLOSING = 8
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(head, reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        print("connection ended", flush=True)
    finally:
        writer.close()


async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first, *lines = head.strip().split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    path = first.split(b" ")[1]
    if path == b"/socket":
        await websocket(headers, reader, writer)
    elif path == b"/events":
        await events(writer)
    elif path == b"/count":
        await count(headers, reader, writer)
    elif path == b"/large":
        await large(writer)
    elif path == b"/silent":
        raise ConnectionError
    else:
        await whole(writer, head)


async def whole(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def count(
    headers: dict[bytes, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    left, digest = int(headers[b"content-length"]), hashlib.sha256()
    while left:
        part = await reader.read(min(left, 1 << 16))
        digest.update(part)
        left -= len(part)
    await whole(writer, digest.hexdigest().encode())


async def large(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(64):
        writer.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def events(writer: asyncio.StreamWriter) -> None:
    """An event at once, and one each 50 ms for as long as somebody listens."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    number = 0
    while True:
        writer.write(b"data: %d\n\n" % number)
        await writer.drain()
        number += 1
        await asyncio.sleep(0.05)


async def websocket(
    headers: dict[bytes, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Sends every message back, in frames as they came."""
    if headers.get(b"sec-websocket-protocol") != b"echo":
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ncloses")
        await writer.drain()
        return
    accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: echo\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        mask = await reader.readexactly(4)
        payload = await reader.readexactly(size)
        plain = (
            int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        ).to_bytes(size, "big")
        length = bytes([size]) if size < 126 else b"\x7f" + size.to_bytes(8, "big")
        writer.write(bytes([first]) + length + plain)
        await writer.drain()
        if first & 0x0F == CLOSING:
            raise ConnectionError


async def main() -> None:
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), ssl=context)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
