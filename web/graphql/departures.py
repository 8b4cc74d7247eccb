"""Noticing that a client has gone, so that nothing is done or held for nobody."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def client_gone(receive: Receive) -> None:
    """Wait until the client of a request whose body was read has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_client_stays(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Do `work` for as long as the client is there; then cancel it, and raise `ClientDisconnect`.

    Whatever must not be left half done is shielded by the domain.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(client_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
