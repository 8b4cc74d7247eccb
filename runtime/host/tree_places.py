"""Where bubblewrap finds the trees of a sandbox: on disk, or in the mounts that the launcher makes for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.host.bubblewrap import Trees
from runtime.host.layout import Layout

SHARED, PROGRAMS, DATA = "shared", "usr", "data"


@dataclass(frozen=True)
class TreePlaces:
    """The trees of one sandbox; `mounted` are those that the launcher mounts with the sandbox's own ids."""

    layout: Layout
    own_programs: bool
    mounted: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, layout: Layout, data: Path, *, own_ids: bool, own_programs: bool) -> "TreePlaces":
        """With ids of its own, a sandbox sees everything through mounts that have them.

        What it wrote itself, in `data`, may be a mount already, and so not be seen through that of the rest.
        With `own_programs` it writes upon the host's /usr as well.
        """
        mounted = [(str(layout.shared), SHARED), (str(data), DATA)] if own_ids else []
        if own_programs:
            mounted.append(("/usr", PROGRAMS))
        return cls(layout, own_programs, mounted)

    def trees(self, *, skeleton: Path, layers: Sequence[Path], data: Path) -> Trees:
        """For bubblewrap's command line; `layers` are folders with `root` and `usr`, topmost first."""
        programs = [str(self.place(layer / "usr")) for layer in layers]
        return Trees(
            root_layers=[*(str(self.place(layer / "root")) for layer in layers), str(self.place(skeleton))],
            program_layers=[*programs, str(self.layout.staging / PROGRAMS)] if self.own_programs else [],
            upper=str(self.layout.staging / DATA if self.mounted else data),
        )

    def place(self, path: Path) -> Path:
        """Where bubblewrap finds a folder of ours."""
        if not self.mounted:
            return path
        return self.layout.staging / SHARED / path.relative_to(self.layout.shared)
