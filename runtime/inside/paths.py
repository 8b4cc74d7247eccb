"""What a path means inside the sandbox: `~`, relative ones, links, and parents made on the way."""

from __future__ import annotations

import os

from runtime.inside.refusals import RefusalError, refusal_of

MAX_PATH_BYTES = 4_096
MAX_LINKS = 40


def expand(path: bytes, home: bytes) -> bytes:
    """The absolute path a caller meant; relative ones begin at the user's home."""
    if b"\0" in path:
        raise RefusalError(b"invalid_argument", "a path can't hold a NUL character")
    if len(path) > MAX_PATH_BYTES:
        raise RefusalError(b"invalid_argument", f"a path can't be longer than {MAX_PATH_BYTES} bytes")
    if path.startswith(b"~"):
        if path[1:2] not in (b"", b"/"):
            raise RefusalError(b"invalid_argument", b"cannot expand user-specific home dir: " + path)
        path = home + path[1:]
    return os.path.normpath(os.path.join(home, path)) if path else home


def make_parents(directory: bytes) -> None:
    """Make a directory and those above it where they are missing."""
    missing = []
    while not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            if not os.path.isdir(path):
                raise RefusalError(b"invalid_argument", b"path is not a directory: " + path) from None
        except OSError as error:
            raise refusal_of(error, b"error making directory " + path) from error


def follow_last_link(path: bytes) -> bytes:
    """The path a write to `path` reaches: its last part followed while it is a link, existing or not."""
    for _ in range(MAX_LINKS):
        try:
            target = os.readlink(path)
        except OSError:
            return path
        path = os.path.join(os.path.dirname(path), target)
    raise RefusalError(b"failed_precondition", b"cyclic symlink or too long a chain of links at " + path)
