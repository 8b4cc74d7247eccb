"""Host ids for sandboxes: a range for each, so that no sandbox owns anything of another's."""

from runtime.host.errors import SandboxLimitError
from runtime.host.launcher import runs_as_root
from runtime.launcher.namespaces import IDS_OF_A_SANDBOX


class UserIds:
    """Ranges of ids, each known by its first; without root there is only our own id, given as None."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count
        self._taken: set[int] = set()
        self._next = 0

    def take(self) -> int | None:
        """The first id of a range that no sandbox has."""
        if not runs_as_root():
            return None
        for _ in range(self._count):
            number = self._first + self._next * IDS_OF_A_SANDBOX
            self._next = (self._next + 1) % self._count
            if number not in self._taken:
                self._taken.add(number)
                return number
        raise SandboxLimitError("No host ids are left for another sandbox; raise RUNTIME_USER_ID_COUNT.")

    def claim(self, number: int | None) -> None:
        """A sandbox of an earlier runtime has it."""
        if number is not None:
            self._taken.add(number)

    def give_back(self, number: int | None) -> None:
        """Called when everything that ran with these ids is gone."""
        self._taken.discard(number or 0)
