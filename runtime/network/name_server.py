"""The name server of a sandbox: questions for IPv4 addresses, as far as its rules let it ask (RFC 1035).

It remembers which names it gave an address for: the connection that follows has the address alone.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from runtime.network.addresses import Address
from runtime.network.fields import normal_name
from runtime.network.policy import Policy
from runtime.network.resolver import Resolver, UnknownNameError

QUESTIONS_AT_ONCE = 64
ADDRESSES_REMEMBERED = 4096
NAMES_OF_AN_ADDRESS = 16
SECONDS_TO_KEEP = 30
HEADER_BYTES = 12
IS_ANSWER, RECURSION = 0x8000, 0x0180
NO_ERROR, MALFORMED, NO_SUCH_NAME, NOT_OFFERED = 0, 1, 3, 4
KIND_A, KIND_AAAA, INTERNET = 1, 28, 1
POINTER_TO_QUESTION = 0xC00C


class NameServer(asyncio.DatagramProtocol):
    """Answers on a socket that lies inside and was passed out."""

    def __init__(self, policy: Callable[[], Policy], resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._names: OrderedDict[Address, list[str]] = OrderedDict()
        self._answering: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def names_of(self, address: Address) -> list[str]:
        """The names that an address was given for, the latest first."""
        return list(reversed(self._names.get(address, [])))

    async def open(self, questions: socket.socket) -> None:
        """Answer on this socket from now on."""
        questions.setblocking(False)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=questions)

    def close(self) -> None:
        """Answer no more."""
        for task in self._answering:
            task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Begin to answer a question; those beyond the bound are lost, as datagrams may be."""
        if len(self._answering) < QUESTIONS_AT_ONCE and len(data) > HEADER_BYTES:
            task = asyncio.ensure_future(self._answer(data, addr))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def error_received(self, exc: Exception) -> None:
        """Who asked has gone away."""

    async def _answer(self, question: bytes, asker: Any) -> None:
        answer = await self.answer(question)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, asker)

    async def answer(self, question: bytes) -> bytes:
        """The answer to one question, as bytes for bytes."""
        read = read_question(question)
        if read is None:
            return _message(question, MALFORMED, b"", [])
        text, kind, raw = read
        name = normal_name(text)
        if kind not in (KIND_A, KIND_AAAA):
            return _message(question, NOT_OFFERED, raw, [])
        if name is None or not self._policy().may_ask_for(name):
            return _message(question, NO_SUCH_NAME, raw, [])
        try:
            found = await self._resolver.addresses(name)
        except UnknownNameError:
            return _message(question, NO_SUCH_NAME, raw, [])
        addresses = [address for address in found if address.version == 4] if kind == KIND_A else []
        for address in addresses:
            self._remember(address, name)
        return _message(question, NO_ERROR, raw, addresses)

    def _remember(self, address: Address, name: str) -> None:
        names = self._names.setdefault(address, [])
        if name in names:
            names.remove(name)
        names.append(name)
        del names[:-NAMES_OF_AN_ADDRESS]
        self._names.move_to_end(address)
        while len(self._names) > ADDRESSES_REMEMBERED:
            self._names.popitem(last=False)


def read_question(message: bytes) -> tuple[str, int, bytes] | None:
    """Name, kind and raw bytes of a message's only question; None where it has none that can be read."""
    if message[2] & 0x80 or int.from_bytes(message[4:6], "big") != 1:
        return None
    labels, at = [], HEADER_BYTES
    while at < len(message) and (size := message[at]):
        if size > 63 or at + size >= len(message):
            return None
        labels.append(message[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    end = at + 5
    if end > len(message) or int.from_bytes(message[at + 3 : end], "big") != INTERNET:
        return None
    return ".".join(labels), int.from_bytes(message[at + 1 : at + 3], "big"), message[HEADER_BYTES:end]


def _message(question: bytes, code: int, raw_question: bytes, addresses: Sequence[Address]) -> bytes:
    flags = IS_ANSWER | RECURSION | code
    counts = (flags, 1 if raw_question else 0, len(addresses), 0, 0)
    rows = [
        POINTER_TO_QUESTION.to_bytes(2, "big")
        + KIND_A.to_bytes(2, "big")
        + INTERNET.to_bytes(2, "big")
        + SECONDS_TO_KEEP.to_bytes(4, "big")
        + len(address.packed).to_bytes(2, "big")
        + address.packed
        for address in addresses
    ]
    return question[:2] + b"".join(each.to_bytes(2, "big") for each in counts) + raw_question + b"".join(rows)
