"""Remove a tree that a sandbox made: of any depth, with folders that nobody may enter."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from runtime.layers.entries import FOLDER_FLAGS

STEPS_DOWN = 64
ROUNDS = 10_000


def remove_tree(path: Path, parent: int | None = None) -> None:
    """Remove a folder with everything in it; one that isn't there is no error. Blocks meanwhile.

    A relative path is one in the open folder `parent`. Raises `OSError` where something can't be removed.
    """
    with suppress(FileNotFoundError):
        top = _open_for_removal(str(path), parent)
        try:
            # Folders that lie deep are moved to the top, and emptied in the next round.
            rounds = ROUNDS
            while _empty(top, top, STEPS_DOWN) and rounds:
                rounds -= 1
        finally:
            os.close(top)
        os.rmdir(path, dir_fd=parent)


def _empty(folder: int, top: int, steps: int) -> bool:
    """Remove what is in a folder; gives whether something was put off."""
    put_off = False
    with os.scandir(folder) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        below = _open_for_removal(name, folder)
        try:
            if steps == 0:
                os.rename(name, secrets.token_hex(8), src_dir_fd=folder, dst_dir_fd=top)
                put_off = True
                continue
            put_off |= _empty(below, top, steps - 1)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=folder)
    return put_off


def _open_for_removal(name: str, folder: int | None) -> int:
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        # One that its owner may not enter or change would stay for ever.
        path = Path(f"/proc/self/fd/{place}")
        path.chmod(stat.S_IRWXU)
        return os.open(path, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    finally:
        os.close(place)
