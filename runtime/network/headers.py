"""HTTP headers as they pass from one connection to another."""

from collections.abc import Iterable

HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
Headers = list[tuple[bytes, bytes]]
"""Names are in lower case."""


def without_hops(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without the headers that are about one connection only, and those that `Connection` names."""
    pairs = list(headers)
    named = {
        token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",")
    }
    return [(name, value) for name, value in pairs if name not in HOP_BY_HOP and name not in named]
