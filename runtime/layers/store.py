"""The layers on disk: made in one step, counted by who uses them, removed when nobody does.

A layer is a folder with the trees `root` and `usr`, as they lie below a sandbox's root and /usr. It never
changes. Who uses which is asked, never noted: a count of our own could drift.
"""

import asyncio
import errno
import secrets
import string
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from runtime.host.layout import TREES, Layout
from runtime.layers.discarding import Discarded
from runtime.layers.errors import LayerNotFoundError
from runtime.layers.merging import make_alike, merge
from runtime.layers.removing import remove_tree

log = structlog.get_logger("runtime.layers")

MOST_LAYERS = 24
ID_ALPHABET = string.ascii_lowercase + string.digits
UNFINISHED = "new-"
DISCARDED = "old-"


class LayerStore:
    """All layers of this runtime. Sources of uses are added with `add_user`."""

    def __init__(self, layout: Layout) -> None:
        self._layers = layout.layers
        self._users: list[Callable[[], Iterable[str]]] = []
        self._held: Counter[str] = Counter()
        self._flattened: dict[tuple[str, ...], str] = {}
        self._flattening = asyncio.Lock()
        self._discarded = Discarded()
        self._open = False

    def add_user(self, used: Callable[[], Iterable[str]]) -> None:
        """Count what `used` gives as used, whenever that is asked."""
        self._users.append(used)

    def folder(self, layer: str) -> Path:
        """A layer's folder."""
        return self._layers / layer

    def check(self, layers: Iterable[str]) -> None:
        """Refuse layers that aren't there."""
        for layer in layers:
            if not self.folder(layer).is_dir():
                raise LayerNotFoundError(f"The layer {layer} isn't there; what was based on it can't start.")

    def used(self) -> set[str]:
        """The layers that somebody uses now."""
        return {layer for used in self._users for layer in used()} | set(self._held)

    @contextmanager
    def holding(self, layers: Iterable[str]) -> Iterator[None]:
        """Keep layers for a moment in which no record names them."""
        held = [*layers]
        self._held.update(held)
        try:
            yield
        finally:
            self._held -= Counter(held)

    def copy(self, layer: str, changes: Path) -> None:
        """Make a layer of a copy of a sandbox's changes; blocks meanwhile, and nothing may change them.

        `changes` holds the trees `root` and `usr`. Hold the layer before, until a record names it.
        """
        with self._making(layer) as folder:
            for tree in TREES:
                if (changes / tree).is_dir():
                    merge([changes / tree], folder / tree)

    def take(self, layer: str, changes: Path) -> None:
        """Make a layer of a stopped sandbox's changes themselves, and leave empty ones; blocks for a moment.

        Its record has to name the layer already: whoever is killed in between finds out by `retake`.
        """
        try:
            changes.rename(self.folder(layer))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # On a file system of its own. What is in the layer too shows the same files as without it.
            self.copy(layer, changes)
            changes.rename(_old(changes))
        self._leave_empty(layer, changes)

    def retake(self, layers: Sequence[str], changes: Path) -> list[str]:
        """The layers that a sandbox has, after a `take` that may not have come to its end."""
        remove_tree(_old(changes))
        if not changes.is_dir():
            self._leave_empty(layers[0], changes)
        elif layers and not self.folder(layers[0]).is_dir():
            return [*layers[1:]]
        return [*layers]

    @asynccontextmanager
    async def flattened(self, layers: Sequence[str]) -> AsyncIterator[list[str]]:
        """The same files in fewer layers, where a sandbox can't lie on so many; held until the block ends."""
        if len(layers) <= MOST_LAYERS:
            with self.holding(layers):
                yield [*layers]
            return
        # The topmost is the newest. Those below it come again with every fork of the same sandbox.
        below = tuple(layers[1:])
        with self.holding(layers):
            async with self._flattening:
                flat = self._flattened.get(below)
                if flat is None or not self.folder(flat).is_dir():
                    flat = new_layer_id()
                    with self.holding([flat]):
                        await asyncio.to_thread(self._merge, flat, below)
                        self._flattened[below] = flat
                    log.info("layers_flattened", layers=len(below), into=flat)
            with self.holding([flat]):
                yield [layers[0], flat]

    def sweep(self) -> None:
        """Let go of what nobody uses: nobody finds it from here on, though its removal takes a while."""
        if not self._open:
            return
        used = self.used()
        self._flattened = {below: flat for below, flat in self._flattened.items() if flat in used}
        for folder in list(self._layers.iterdir()):
            if folder.name not in used and not folder.name.startswith((UNFINISHED, DISCARDED)):
                self._discarded.add(folder.rename(self._layers / f"{DISCARDED}{folder.name}"))

    def open(self) -> None:
        """Let go of what an earlier runtime began or left; every user of layers has to be known by now."""
        self._open = True
        self._discarded.open()
        for pattern in (UNFINISHED, DISCARDED):
            for folder in self._layers.glob(f"{pattern}*"):
                self._discarded.add(folder)
        self.sweep()

    def _merge(self, layer: str, layers: Sequence[str]) -> None:
        with self._making(layer) as folder:
            for tree in TREES:
                sources = [self.folder(each) / tree for each in layers]
                there = [source for source in sources if source.is_dir()]
                if there:
                    merge(there, folder / tree, link=True)

    @contextmanager
    def _making(self, layer: str) -> Iterator[Path]:
        folder = self._layers / f"{UNFINISHED}{layer}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
            folder.rename(self.folder(layer))
        except BaseException:
            self._discarded.add(folder)
            raise

    def _leave_empty(self, layer: str, changes: Path) -> None:
        new = changes.with_name(f"{changes.name}.new")
        remove_tree(new)
        new.mkdir(mode=0o700)
        for tree in TREES:
            taken = self.folder(layer) / tree
            if taken.is_dir():
                make_alike(taken, new / tree)
        new.rename(changes)
        remove_tree(_old(changes))


def new_layer_id() -> str:
    """An id that no layer has."""
    return "l" + "".join(secrets.choice(ID_ALPHABET) for _ in range(19))


def _old(changes: Path) -> Path:
    return changes.with_name(f"{changes.name}.old")
