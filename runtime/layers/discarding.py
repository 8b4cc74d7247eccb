"""Remove what nobody finds any more, behind everybody's back: a hundred thousand files take a minute."""

import queue
import threading
from pathlib import Path

import structlog

from runtime.layers.removing import remove_tree

log = structlog.get_logger("runtime.layers")


class Discarded:
    """Folders, removed one after the other. What is left when the runtime ends, the next one finds."""

    def __init__(self) -> None:
        self._folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._known: set[Path] = set()
        # Nobody waits for it, so that a runtime that is told to stop does.
        self._thread = threading.Thread(target=self._remove_all, name="discarded", daemon=True)

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, folder: Path) -> None:
        """Remove a folder that has a name of its own, sooner or later."""
        if folder not in self._known:
            self._known.add(folder)
            self._folders.put(folder)

    def _remove_all(self) -> None:
        while True:
            folder = self._folders.get()
            try:
                remove_tree(folder)
            except OSError as error:
                # The next runtime tries again.
                log.warning("folder_not_removed", folder=str(folder), error=str(error))
            else:
                self._known.discard(folder)
