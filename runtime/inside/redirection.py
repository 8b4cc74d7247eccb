"""Lead connections to the outside to the runtime's proxy, for programs that ask no proxy.

The sandbox has loopback alone. A route says that everything lies there, and a rule of the kernel's packet
filter turns what is not for loopback to two ports of ours: TCP to one, questions for names to the other. Set
up before the right to change it is given up; numbers are those of linux/rtnetlink.h and nf_tables.h.
"""

from __future__ import annotations

import _socket

from runtime.inside.system_calls import demand

TYPE_CHECKING = False  # as in typing, whose import costs a sandbox milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNET = 0x40000000
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
REQUEST, ACKNOWLEDGE, CREATE, APPEND = 0x1, 0x4, 0x400, 0x800
NEW_LINK, NEW_ADDRESS, NEW_ROUTE = 16, 20, 24
BATCH_BEGIN, BATCH_END = 16, 17
NEW_TABLE, NEW_CHAIN, NEW_RULE = 0xA00, 0xA03, 0xA06
NFTABLES = 10
ERROR = 2
NESTED = 0x8000
LOOPBACK_INDEX, IS_UP = 1, 1
MAIN_TABLE, STATIC, UNICAST, LINK_SCOPE = 254, 4, 1, 253
OUTPUT_HOOK, BEFORE_ROUTING_AGAIN = 3, -100
TCP, UDP, DNS_PORT = 6, 17, 53
EQUAL, NOT_EQUAL = 0, 1
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
DESTINATION_OFFSET, PORT_OFFSET = 16, 2
PROTOCOL = 16
REGISTER = 1
LOOPBACK = bytes([127, 0, 0, 1])
# Names are not looked up by programs that see loopback alone (AI_ADDRCONFIG); of a range that nobody routes.
OWN_ADDRESS = bytes([192, 0, 0, 2])
NAME = b"runtime\0"
CHAIN = b"output\0"
ANSWER_BYTES = 1 << 16


def bring_up_own_loopback() -> None:
    """Take a network of our own, where the one that bubblewrap made belongs to an outer namespace."""
    demand("unshare", CLONE_NEWNET)
    header = bytes(4) + _native(LOOPBACK_INDEX) + _native(IS_UP) * 2
    _ask(NETLINK_ROUTE, _message(NEW_LINK, 0, header))


def redirect_to_proxy(tcp_port: int, dns_port: int) -> bool:
    """Set it up; False where this kernel can't."""
    elsewhere = _payload(NETWORK_HEADER, DESTINATION_OFFSET, 1) + _compare(NOT_EQUAL, LOOPBACK[:1])
    elsewhere += _payload(NETWORK_HEADER, DESTINATION_OFFSET, 4) + _compare(NOT_EQUAL, OWN_ADDRESS)
    for_dns = _payload(TRANSPORT_HEADER, PORT_OFFSET, 2) + _compare(EQUAL, _big(DNS_PORT, 2))
    route = bytes([_socket.AF_INET, 0, 0, 0, MAIN_TABLE, STATIC, LINK_SCOPE, UNICAST]) + bytes(4)
    route += _attribute(4, _native(LOOPBACK_INDEX)) + _attribute(7, OWN_ADDRESS)
    address = bytes([_socket.AF_INET, 32, 0, 0]) + _native(LOOPBACK_INDEX)
    address += _attribute(1, OWN_ADDRESS) + _attribute(2, OWN_ADDRESS)
    try:
        _ask(
            NETLINK_NETFILTER,
            _batch(BATCH_BEGIN),
            _filter(NEW_TABLE, CREATE, _attribute(1, NAME)),
            _filter(NEW_CHAIN, CREATE, _chain()),
            _filter(NEW_RULE, CREATE | APPEND, _rule(UDP, for_dns, dns_port)),
            _filter(NEW_RULE, CREATE | APPEND, _rule(TCP, elsewhere, tcp_port)),
            _batch(BATCH_END),
        )
        _ask(NETLINK_ROUTE, _message(NEW_ADDRESS, CREATE, address), _message(NEW_ROUTE, CREATE, route))
    except OSError:
        return False
    return True


def _chain() -> bytes:
    hook = _attribute(1, _big(OUTPUT_HOOK)) + _attribute(2, _big(BEFORE_ROUTING_AGAIN & 0xFFFFFFFF))
    return _attribute(1, NAME) + _attribute(3, CHAIN) + _nested(4, hook) + _attribute(7, b"nat\0")


def _rule(protocol: int, condition: bytes, port: int) -> bytes:
    """What is of this protocol and fulfils the condition goes to a port of loopback."""
    expressions = _expression(b"meta", _attribute(1, _big(REGISTER)) + _attribute(2, _big(PROTOCOL)))
    expressions += _compare(EQUAL, bytes([protocol])) + condition
    value = _nested(2, _attribute(1, _big(port, 2)))
    expressions += _expression(b"immediate", _attribute(1, _big(REGISTER)) + value)
    expressions += _expression(b"redir", _attribute(1, _big(REGISTER)) + _attribute(2, _big(REGISTER)))
    return _attribute(1, NAME) + _attribute(2, CHAIN) + _nested(4, expressions)


def _payload(header: int, offset: int, size: int) -> bytes:
    fields = (REGISTER, header, offset, size)
    listed = [_attribute(number, _big(value)) for number, value in enumerate(fields, 1)]
    return _expression(b"payload", b"".join(listed))


def _compare(relation: int, value: bytes) -> bytes:
    data = _nested(3, _attribute(1, value))
    return _expression(b"cmp", _attribute(1, _big(REGISTER)) + _attribute(2, _big(relation)) + data)


def _expression(name: bytes, data: bytes) -> bytes:
    return _nested(1, _attribute(1, name + b"\0") + _nested(2, data))


def _attribute(kind: int, data: bytes) -> bytes:
    whole = _native(4 + len(data), 2) + _native(kind, 2) + data
    return whole + bytes(-len(whole) % 4)


def _nested(kind: int, data: bytes) -> bytes:
    return _attribute(kind | NESTED, data)


def _filter(kind: int, flags: int, body: bytes) -> bytes:
    return _message(kind, flags, bytes([_socket.AF_INET, 0, 0, 0]) + body)


def _batch(kind: int) -> bytes:
    return _message(kind, 0, bytes([0, 0]) + _big(NFTABLES, 2), flags_of_all=REQUEST)


def _message(kind: int, flags: int, body: bytes, flags_of_all: int = REQUEST | ACKNOWLEDGE) -> bytes:
    head = _native(16 + len(body)) + _native(kind, 2) + _native(flags | flags_of_all, 2) + bytes(8)
    return head + body


def _ask(family: int, *messages: bytes) -> None:
    """Send messages in one, and see that each that wants an answer is acknowledged; else `OSError`."""
    link = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, family)
    try:
        link.settimeout(5)
        link.send(b"".join(messages))
        wanted = 0
        for message in messages:
            wanted += bool(message[6] & ACKNOWLEDGE)
        _await_acknowledgements(link.recv, wanted)
    finally:
        link.close()


def _await_acknowledgements(receive: Callable[[int], bytes], wanted: int) -> None:
    while wanted:
        answer = receive(ANSWER_BYTES)
        while answer:
            size = int.from_bytes(answer[:4], "little")
            if int.from_bytes(answer[4:6], "little") == ERROR:
                number = -int.from_bytes(answer[16:20], "little", signed=True)
                if number:
                    raise OSError(number, "netlink")
                wanted -= 1
            answer = answer[(size + 3) & ~3 :]


def _native(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def _big(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")
