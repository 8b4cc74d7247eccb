"""What callers may ask of files: which paths, modes, depths and sizes."""

import re

from commandcenter.errors import InvalidError

LONGEST_PATH_BYTES = 4096
DEEPEST_LISTING = 10
LONGEST_LISTING = 2_000
LARGEST_TEXT_BYTES = 1024 * 1024

_MODE = re.compile(r"0?[0-7]{3}")


def require_valid_path(path: str, field: str = "path") -> None:
    """Refuse what no file system takes as a path. Relative paths and `~` begin at the user's home."""
    if not path:
        raise InvalidError(f"{field} is empty. Give a path, such as /home/user or notes.txt.", (field,))
    if "\0" in path:
        raise InvalidError(f"{field} holds a NUL character, which no path can.", (field,))
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise InvalidError(f"{field} holds half a character. Give whole characters.", (field,)) from error
    if length > LONGEST_PATH_BYTES:
        raise InvalidError(f"{field} has {length} bytes; a path has at most {LONGEST_PATH_BYTES}.", (field,))


def require_valid_depth(depth: int) -> None:
    """Refuse a depth of a listing that is none, or too much at once."""
    if not 1 <= depth <= DEEPEST_LISTING:
        raise InvalidError(f"depth must be between 1 and {DEEPEST_LISTING}.", ("depth",))


def require_valid_limit(limit: int | None) -> None:
    """Refuse a size of a page of a listing that is none, or too much at once."""
    if limit is not None and not 1 <= limit <= LONGEST_LISTING:
        raise InvalidError(f"limit must be between 1 and {LONGEST_LISTING}.", ("limit",))


def require_valid_text_size(most_bytes: int) -> None:
    """Refuse a size of text that is none, or too much at once."""
    if not 1 <= most_bytes <= LARGEST_TEXT_BYTES:
        raise InvalidError(
            f"maxBytes must be between 1 and {LARGEST_TEXT_BYTES}; use downloadUrl for larger files.",
            ("maxBytes",),
        )


def mode_of(text: str | None) -> int | None:
    """The permission bits that octal digits such as `644` or `0755` stand for."""
    if text is None:
        return None
    if not _MODE.fullmatch(text):
        raise InvalidError("mode must be three octal digits, such as 644 or 755.", ("mode",))
    return int(text, 8)


def octal_digits(mode: int) -> str:
    """Permission bits as four octal digits, such as `0644`."""
    return f"{mode & 0o7777:04o}"
