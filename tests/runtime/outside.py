"""What stands for the internet in tests: a server on an address of this machine that a setting lets pass."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ADDRESS = "127.0.0.5"


def own_address() -> str:
    """This machine's address in its network, for what must not be loopback to a sandbox."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address


HOSTS = f"""\
127.0.0.1 localhost
{ADDRESS} allowed.test api.allowed.test other.test
{own_address()} outside.test
127.0.0.1 loop.test
::1 loop6.test
::ffff:127.0.0.1 mapped.test
169.254.169.254 metadata.test
10.1.2.3 private.test
64:ff9b::7f00:1 translated.test
"""


class Outside:
    """A server that tells what it was sent, and holds connections open on `/hold`."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            path = head.split(b" ")[1]
            if path == b"/hold":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nheld")
                await reader.read()
            elif path.startswith(b"/redirect?"):
                place = path.partition(b"?")[2]
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % place)
            elif path == b"/upload":
                body = await reader.readuntil(b"0\r\n\r\n" if b"chunked" in head else b"!")
                self.requests.append(body)
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nread\r\n0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    """Runs while the block does."""
    server = Outside()
    listening = await asyncio.start_server(server.serve, ADDRESS, 0)
    server.port = listening.sockets[0].getsockname()[1]
    beside = await asyncio.start_server(server.serve, own_address(), server.port)
    async with listening, beside:
        yield server
