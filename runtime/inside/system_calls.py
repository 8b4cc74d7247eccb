"""Calls of the C library that Python has no name for, without the cost of `ctypes`.

Importing `ctypes` takes a sandbox's start milliseconds; `_ctypes`, its C half, takes none. Integers are
passed as C's `int`, byte strings as pointers.
"""

from __future__ import annotations

import _ctypes

_LIBRARY = _ctypes.dlopen("libc.so.6", 0)


def call(name: str, *arguments: int | bytes | None) -> int:
    """What the function of this name gives; -1 is its failure, whose reason is not known here."""
    result: int = _ctypes.call_function(_ctypes.dlsym(_LIBRARY, name), arguments)
    return result


def demand(name: str, *arguments: int | bytes | None) -> None:
    """Call a function that must not fail: a sandbox that can't be set up does not start."""
    if call(name, *arguments) == -1:
        raise SystemExit(f"{name}{arguments} failed")
