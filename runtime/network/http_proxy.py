"""The HTTP proxy: CONNECT for tunnels, absolute addresses for plain HTTP.

Every message is read whole by its framing and written anew, so what comes behind a request is a request of
its own, and is judged anew: nothing rides along to a place that only the first was allowed.
"""

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from runtime.network.egress import SandboxEgress
from runtime.network.flow import Flow
from runtime.network.headers import Headers, without_hops
from runtime.network.outward import Destination, RefusedError, UnreachableError, destination
from runtime.network.relay import READ_AT_ONCE, Streams, relay

HEAD_LIMIT = 1 << 16
HEAD_SECONDS = 60
USAGE = (
    "this is the sandbox's way out, an HTTP and SOCKS5 proxy: send CONNECT host:port, or a whole http:// "
    "address"
)


class BadRequestError(Exception):
    """No request that a proxy can serve."""


async def serve_http(egress: SandboxEgress, flow: Flow, first: bytes) -> None:
    """Serve requests on one connection until it ends or becomes a tunnel; `first` was read already."""
    inner = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    inner.receive_data(first)
    while True:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                event = await next_event(inner, flow.inner.reader)
            if not isinstance(event, h11.Request):
                return
            if event.method == b"CONNECT":
                await _tunnel(egress, flow, inner, event)
                return
            await _forward(egress, flow, inner, event)
        except TimeoutError:
            return
        except h11.RemoteProtocolError as error:
            await _refuse(flow, inner, error.error_status_hint, f"the request is malformed: {error}")
            return
        except BadRequestError as error:
            await _refuse(flow, inner, HTTPStatus.BAD_REQUEST, str(error))
            return
        except RefusedError as error:
            await _refuse(flow, inner, HTTPStatus.FORBIDDEN, str(error))
            return
        except UnreachableError as error:
            await _refuse(flow, inner, HTTPStatus.BAD_GATEWAY, str(error))
            return
        if inner.our_state is not h11.DONE or inner.their_state is not h11.DONE:
            return
        inner.start_next_cycle()


async def next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Event | type:
    """The next of h11's events, reading as much as it takes."""
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(await reader.read(READ_AT_ONCE))


async def _tunnel(egress: SandboxEgress, flow: Flow, inner: h11.Connection, request: h11.Request) -> None:
    host, _, port = request.target.decode("ascii").rpartition(":")
    wanted = destination(host, port)
    if wanted is None:
        raise BadRequestError("CONNECT needs a host and a port, as in example.com:443")
    if not isinstance(await next_event(inner, flow.inner.reader), h11.EndOfMessage):
        raise BadRequestError("CONNECT takes no body")
    if egress.policy.headers_for(wanted.host):
        raise RefusedError(
            f"network.rules set headers for {wanted.host}, which is done here for http:// requests only"
        )
    outer = await egress.open_outward(flow, wanted)
    answer = h11.Response(status_code=200, headers=[], reason=b"Connection established")
    flow.inner.writer.write(inner.send(answer) or b"")
    early, _ = inner.trailing_data
    if early:
        flow.moved(len(early), 0)
        outer.writer.write(early)
    await relay(flow.inner, outer, flow.moved)


async def _forward(egress: SandboxEgress, flow: Flow, inner: h11.Connection, request: h11.Request) -> None:
    wanted, target = _target(request)
    headers = _headers(request, wanted, egress)
    streams = await egress.open_outward(flow, wanted)
    outer = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    try:
        streams.writer.write(
            outer.send(h11.Request(method=request.method, target=target, headers=headers)) or b""
        )
        sending = asyncio.ensure_future(_send_body(flow, inner, outer, streams))
        try:
            await _relay_response(flow, inner, outer, streams)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    except (h11.ProtocolError, OSError) as error:
        if inner.our_state is not h11.SEND_RESPONSE:
            flow.abort()  # the half of an answer must not look like a whole one
            return
        raise UnreachableError(f"{wanted.host} broke off or did not speak HTTP: {error}") from error
    finally:
        streams.writer.close()
        flow.outer = flow.address = flow.name = None


def _target(request: h11.Request) -> tuple[Destination, bytes]:
    """Where a request with a whole address goes, and what it asks for there."""
    try:
        parts = urlsplit(request.target.decode("ascii"))
        port = parts.port or 80
    except ValueError as error:
        raise BadRequestError("the address in the request can't be read") from error
    if parts.scheme == "https":
        raise BadRequestError("https:// goes through the proxy by CONNECT")
    wanted = destination(parts.hostname or "", port)
    if parts.scheme != "http" or wanted is None or "@" in parts.netloc:
        raise BadRequestError(USAGE)
    path = parts.path or ("*" if request.method == b"OPTIONS" else "/")
    return wanted, (path + (f"?{parts.query}" if parts.query else "")).encode()


def _headers(request: h11.Request, wanted: Destination, egress: SandboxEgress) -> Headers:
    """The request's own headers for its destination, with what the rules set."""
    received = list(request.headers)
    names = {name for name, _ in received}
    if b"transfer-encoding" in names and b"content-length" in names:
        raise BadRequestError("a request has Content-Length or Transfer-Encoding, not both")
    rules = {
        name.encode(): value.encode("latin-1") for name, value in egress.headers_for(wanted.host).items()
    }
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    kept = [pair for pair in without_hops(received) if pair[0] not in rules and pair[0] != b"host"]
    if b"transfer-encoding" in names:
        kept.append((b"transfer-encoding", b"chunked"))
    authority = host if wanted.port == 80 else f"{host}:{wanted.port}"
    return [(b"host", authority.encode()), *kept, *rules.items(), (b"connection", b"close")]


async def _send_body(flow: Flow, inner: h11.Connection, outer: h11.Connection, streams: Streams) -> None:
    try:
        while True:
            event = await next_event(inner, flow.inner.reader)
            if not isinstance(event, h11.Data):
                break
            flow.moved(len(event.data), 0)
            streams.writer.write(outer.send(h11.Data(data=event.data)) or b"")
            await streams.writer.drain()
        streams.writer.write(outer.send(h11.EndOfMessage()) or b"")
    except (h11.ProtocolError, OSError):
        # Without its end the other side would wait for the rest.
        flow.abort()


async def _relay_response(flow: Flow, inner: h11.Connection, outer: h11.Connection, streams: Streams) -> None:
    while True:
        event = await next_event(outer, streams.reader)
        if isinstance(event, h11.InformationalResponse | h11.Response):
            answer = type(event)(
                status_code=event.status_code, headers=without_hops(event.headers), reason=event.reason
            )
            flow.inner.writer.write(inner.send(answer) or b"")
        elif isinstance(event, h11.Data):
            flow.moved(0, len(event.data))
            flow.inner.writer.write(inner.send(h11.Data(data=event.data)) or b"")
        elif isinstance(event, h11.EndOfMessage):
            flow.inner.writer.write(inner.send(h11.EndOfMessage()) or b"")
        else:
            return
        await flow.inner.writer.drain()
        if isinstance(event, h11.EndOfMessage):
            return


async def _refuse(flow: Flow, inner: h11.Connection, status: int, reason: str) -> None:
    """Say no, in the reason phrase too: that is all that many clients show of an answer to CONNECT."""
    if inner.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    body = f"{reason}\n".encode()
    phrase = " ".join(reason.split()).encode("ascii", "replace")
    headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    answer = inner.send(h11.Response(status_code=status, headers=headers, reason=phrase)) or b""
    for event in (h11.Data(data=body), h11.EndOfMessage()):
        answer += inner.send(event) or b""
    flow.inner.writer.write(answer)
    await flow.inner.writer.drain()
