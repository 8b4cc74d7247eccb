"""HTTP with nothing between us and the socket: what a client can have at the most."""

import socket

from e2b import AsyncSandbox

_SECONDS = 120
_RECEIVED_AT_ONCE = 1 << 20


def request_head(
    sandbox: AsyncSandbox, method: str, path: str, content_type: str = "", length: int = 0
) -> bytes:
    """The head of a request to a sandbox; the connection ends with the answer."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"E2b-Sandbox-Id: {sandbox.sandbox_id}",
        f"X-Access-Token: {sandbox._envd_access_token}",
    ]
    if content_type:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(port: int, head: bytes, body: bytes = b"") -> int:
    """Send a request and read all of the answer; gives the bytes of its body, chunks' heads included."""
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(head)
        connection.sendall(body)
        received, buffer = 0, bytearray(_RECEIVED_AT_ONCE)
        answer = b""
        while count := connection.recv_into(buffer):
            if not received:
                answer = bytes(buffer[:count])
            received += count
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"The runtime answered {answer[:200]!r}.")
    return received - answer.index(b"\r\n\r\n") - 4
