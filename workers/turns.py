"""Turns: what runs again and again runs once at a time in this process."""

from collections.abc import Awaitable, Callable


class Turns:
    """Which works are under way. Another process may do the same: each step bears that."""

    def __init__(self) -> None:
        self._under_way: set[str] = set()

    async def take(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, unless an earlier turn of the same name still does it."""
        if name in self._under_way:
            return
        self._under_way.add(name)
        try:
            await work()
        finally:
            self._under_way.discard(name)
