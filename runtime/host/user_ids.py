"""Host user ids for sandboxes: one each, so that no sandbox owns anything of another's."""

import os

from runtime.host.errors import SandboxLimitError


class UserIds:
    """A range of ids; without root there is only our own, given as None."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count
        self._taken: set[int] = set()
        self._next = 0

    def take(self) -> int | None:
        """An id that no sandbox has."""
        if os.geteuid() != 0:
            return None
        for _ in range(self._count):
            number = self._first + self._next
            self._next = (self._next + 1) % self._count
            if number not in self._taken:
                self._taken.add(number)
                return number
        raise SandboxLimitError("No host user id is left for another sandbox; raise RUNTIME_USER_ID_COUNT.")

    def claim(self, number: int | None) -> None:
        """A sandbox of an earlier runtime has it."""
        if number is not None:
            self._taken.add(number)

    def give_back(self, number: int | None) -> None:
        """Called when everything that the sandbox owned is gone."""
        self._taken.discard(number or 0)
