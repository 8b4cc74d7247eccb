"""From a name to addresses, by the machine's own resolver, in threads.

A sandbox can ask for names whose servers never answer, and such a question can't be called back: each
sandbox has few at once, so that it doesn't hold up the others'.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Protocol

from runtime.network.addresses import Address, parse_address

LOOKUP_SECONDS = 15
LOOKUPS_AT_ONCE = 64
LOOKUPS_OF_A_SANDBOX = 8
ADDRESSES_TRIED = 6


class UnknownNameError(Exception):
    """No address is known for a name, or nobody told one in time."""


class Resolver(Protocol):
    """Whatever finds the addresses of a name."""

    async def addresses(self, name: str) -> list[Address]:
        """Its addresses, best first; `UnknownNameError` where there are none."""
        ...


class SystemResolver:
    """The machine's resolver: /etc/hosts, DNS, and what else it is set up to ask. One for each sandbox."""

    def __init__(self, of_all: asyncio.Semaphore) -> None:
        self._turns = (asyncio.Semaphore(LOOKUPS_OF_A_SANDBOX), of_all)

    async def addresses(self, name: str) -> list[Address]:
        """Its addresses, best first; `UnknownNameError` where there are none."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = await self._look_up(name)
        except TimeoutError:
            raise UnknownNameError(f"no name server told of {name} within {LOOKUP_SECONDS} s") from None
        except OSError as error:
            raise UnknownNameError(f"{name} is not known: {error.strerror or error}") from error
        addresses = [address for text in found if (address := parse_address(text)) is not None]
        if not addresses:
            raise UnknownNameError(f"{name} has no address")
        return addresses[:ADDRESSES_TRIED]

    async def _look_up(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        for at, turn in enumerate(self._turns):
            try:
                await turn.acquire()
            except BaseException:
                self._give_turns(at)
                raise
        answer: asyncio.Future[list[str]] = loop.create_future()

        def settle(found: list[str], error: OSError | None) -> None:
            # Only now: a question that nobody waits for any more still takes a thread.
            self._give_turns(len(self._turns))
            if not answer.done():
                answer.set_exception(error) if error is not None else answer.set_result(found)

        def ask() -> None:
            found, problem = [], None
            try:
                rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
                found = list(dict.fromkeys(str(row[4][0]) for row in rows))
            except OSError as error:
                problem = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found, problem)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        return await answer

    def _give_turns(self, count: int) -> None:
        for turn in self._turns[:count]:
            turn.release()
