"""Downloads that a test takes to their end."""

from collections.abc import AsyncIterable


async def exhausted(content: AsyncIterable[bytes]) -> int:
    """Take everything; gives the number of bytes."""
    return sum([len(chunk) async for chunk in content])
