"""Reading a request's body within bounds of size and time."""

import asyncio

from starlette.requests import Request

BODY_TIMEOUT_SECONDS = 30.0


class BodyTooLargeError(Exception):
    """The body is larger than allowed; reading stopped there."""

    def __init__(self, maximum_bytes: int) -> None:
        super().__init__(f"The request's body is larger than {maximum_bytes} bytes. Send less at once.")


class BodyTooSlowError(Exception):
    """The body did not arrive in time."""

    def __init__(self) -> None:
        super().__init__(f"The request's body did not arrive within {BODY_TIMEOUT_SECONDS:.0f} seconds.")


async def read_body(request: Request, *, maximum_bytes: int) -> bytes:
    """The whole body, counted while it arrives, whatever its Content-Length says.

    Raises `BodyTooLargeError`, `BodyTooSlowError`, and Starlette's `ClientDisconnect`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > maximum_bytes:
        raise BodyTooLargeError(maximum_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > maximum_bytes:
                    raise BodyTooLargeError(maximum_bytes)
    except TimeoutError:
        raise BodyTooSlowError from None
    return bytes(body)
